"""Does what its one argument says with boto3, and prints the rules that it reads, as JSON."""

import json
import sys

import boto3
from botocore.config import Config

call = json.loads(sys.argv[1])
client = boto3.client(
    "s3",
    endpoint_url=call["endpoint"],
    aws_access_key_id=call["id"],
    aws_secret_access_key=call["secret"],
    region_name="eu-west-1",
    config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
)
bucket = call["bucket"]
if call["op"] == "put":
    client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": call["rules"]})
elif call["op"] == "get":
    print(json.dumps(client.get_bucket_cors(Bucket=bucket)["CORSRules"]))
else:
    client.delete_bucket_cors(Bucket=bucket)
