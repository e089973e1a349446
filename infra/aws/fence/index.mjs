/** Seconds after which a client should try again: a cutover holds writes for about one. */
export const retryAfterSeconds = 1;

/**
 * Answers every write while the writes are held. A load balancer's fixed response cannot carry a Retry-After header, so a
 * function answers instead. Nothing of the request is kept or logged.
 */
export const handler = () =>
  Promise.resolve({
    statusCode: 503,
    statusDescription: '503 Service Unavailable',
    isBase64Encoded: false,
    headers: {
      'retry-after': String(retryAfterSeconds),
      'cache-control': 'no-store',
      'content-type': 'text/plain; charset=utf-8',
    },
    body: 'Please try again in a moment.\n',
  });
