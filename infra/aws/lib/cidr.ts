import { z } from 'zod';

/** IPv4 addresses of a network, such as `10.0.0.0/16`. */
export const cidrBlock = z.cidrv4('addresses of a network look like 10.0.0.0/16');

/** Whether two blocks share an address, which means that one contains the other. */
export function overlap(one: string, other: string): boolean {
  const [[mine, bits], [theirs, otherBits]] = [parsed(one), parsed(other)];
  const size = 2 ** (32 - Math.min(bits, otherBits));
  return Math.floor(mine / size) === Math.floor(theirs / size);
}

function parsed(block: string): [address: number, bits: number] {
  const [address = '', bits] = block.split('/');
  return [address.split('.').reduce((number, part) => number * 256 + Number(part), 0), Number(bits)];
}
