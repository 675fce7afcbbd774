// Does what its one argument says by the OSS SDK for JavaScript, and prints what came of
// it, both as JSON.
const dns = require('dns');
const http = require('http');
const OSS = require('ali-oss');

const { client: options, bucket, calls } = JSON.parse(process.argv[2]);

// Every name is this machine.
const lookup = (name, opts, done) => dns.lookup('127.0.0.1', opts, done);

const list = (value) => (value === undefined ? [] : [].concat(value));

const run = async (client, { op, rules }) => {
  switch (op) {
    case 'put':
      return client.putBucketCORS(bucket, rules);
    case 'get':
      return client.getBucketCORS(bucket);
    case 'delete':
      return client.deleteBucketCORS(bucket);
    case 'createBucket':
      return client.putBucket(bucket);
    default:
      throw new Error(`no operation ${op}`);
  }
};

(async () => {
  const client = new OSS({ ...options, agent: new http.Agent({ lookup }) });
  const results = [];
  for (const call of calls) {
    try {
      const { res, rules = [] } = await run(client, call);
      results.push({
        status: res.status,
        rules: rules.map((rule) => ({
          origins: list(rule.allowedOrigin),
          methods: list(rule.allowedMethod),
          headers: list(rule.allowedHeader),
          expose: list(rule.exposeHeader),
          maxAge: rule.maxAgeSeconds === undefined ? null : Number(rule.maxAgeSeconds),
        })),
      });
    } catch (e) {
      results.push({ status: e.status, code: e.code, ec: e.ecCode, requestID: e.requestId, message: e.message, printed: String(e) });
    }
  }
  console.log(JSON.stringify(results));
})();
