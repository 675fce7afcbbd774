// Does what its one argument says with the AWS SDK for JavaScript, and prints the rules that
// it reads, as JSON.
const {
  S3Client, PutBucketCorsCommand, GetBucketCorsCommand, DeleteBucketCorsCommand,
} = require('@aws-sdk/client-s3');

const {
  endpoint, id, secret, bucket, op, rules,
} = JSON.parse(process.argv[2]);

const client = new S3Client({
  endpoint,
  region: 'eu-west-1',
  forcePathStyle: true,
  maxAttempts: 1,
  credentials: { accessKeyId: id, secretAccessKey: secret },
});

const input = { Bucket: bucket };
const commands = {
  put: () => new PutBucketCorsCommand({ ...input, CORSConfiguration: { CORSRules: rules } }),
  get: () => new GetBucketCorsCommand(input),
  delete: () => new DeleteBucketCorsCommand(input),
};

client.send(commands[op]()).then((result) => {
  console.log(JSON.stringify(result.CORSRules || []));
}, (err) => {
  console.error(`${err.name}: ${err.message}`);
  process.exit(1);
});
