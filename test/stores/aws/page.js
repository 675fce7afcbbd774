// What a web application does with a private bucket, by the AWS SDK. Each function ends
// with what the page could see.
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';

const bucket = 'private';

const client = (endpoint) => new S3Client({
  endpoint,
  region: 'us-east-1',
  credentials: { accessKeyId: 'app', secretAccessKey: 'app-secret' },
  forcePathStyle: true,
  // Or a presigned PUT would carry the checksum of a body that is not known yet.
  requestChecksumCalculation: 'WHEN_REQUIRED',
  maxAttempts: 1,
});

const digest = async (bytes) =>
  [...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))].map((b) => b.toString(16).padStart(2, '0')).join('');

// seen is what a page learns of a fetch. "blocked" is all that it learns of a refusal.
const seen = async (fetching) => {
  try {
    const response = await fetching;
    return {
      status: response.status,
      body: await response.text(),
      headers: Object.fromEntries(response.headers),
    };
  } catch (e) {
    return { blocked: e instanceof TypeError, error: String(e) };
  }
};

globalThis.store = {
  get: async (endpoint, key) =>
    seen(fetch(await getSignedUrl(client(endpoint), new GetObjectCommand({ Bucket: bucket, Key: key })))),

  // A URL that somebody has changed: the store refuses it.
  getTampered: async (endpoint, key) =>
    seen(fetch(await getSignedUrl(client(endpoint), new GetObjectCommand({ Bucket: bucket, Key: key })) + '0')),

  put: async (endpoint, key, body) => {
    const command = new PutObjectCommand({ Bucket: bucket, Key: key, ContentType: 'text/plain' });
    return seen(fetch(await getSignedUrl(client(endpoint), command), {
      method: 'PUT', body, headers: { 'content-type': 'text/plain' },
    }));
  },

  // In parts, each checked by the SDK's checksum and known by its ETag.
  upload: async (endpoint, key, size) => {
    const body = new Uint8Array(size).map((_, i) => i % 251);
    const progress = [];
    const s3 = client(endpoint);
    s3.config.requestChecksumCalculation = async () => 'WHEN_SUPPORTED';
    const upload = new Upload({ client: s3, params: { Bucket: bucket, Key: key, Body: body }, partSize: 5 << 20 });
    upload.on('httpUploadProgress', (p) => progress.push(p.part));
    try {
      const result = await upload.done();
      return { etag: result.ETag, parts: progress.length, sha256: await digest(body) };
    } catch (e) {
      return { blocked: e instanceof TypeError, error: String(e) };
    }
  },
};
