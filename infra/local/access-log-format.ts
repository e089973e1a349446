/**
 * One line per request in the balancer's log, written when it has ended: `greenlight`, time of the end (ms since the epoch),
 * colour, service, kind, routed by, status, milliseconds from the first byte of the request to the last of the answer,
 * termination state, synthetic, held. Neither query strings nor cookies nor addresses: nothing personal.
 * Absent values are `-`. `held`: the request ended while it was held.
 */
export const accessLogFormat = [
  'greenlight',
  '%[date(0,ms)]',
  '%[var(txn.colour)]',
  '%[var(txn.service)]',
  '%[var(txn.kind)]',
  '%[var(txn.by)]',
  '%ST',
  '%Ta',
  '%ts',
  '%[var(txn.synthetic)]',
  '%[var(txn.held)]',
].join(' ');
