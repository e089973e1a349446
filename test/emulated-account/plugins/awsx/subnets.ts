/** A kind of subnet, and its size in each zone. */
export interface SubnetSpec {
  type: 'Public' | 'Private' | 'Isolated';
  cidrMask?: number;
  name?: string;
}

export interface PlannedSubnet {
  type: SubnetSpec['type'];
  zone: string;
  /** Index of the zone, from 0. */
  zoneIndex: number;
  cidrBlock: string;
}

const defaultMask = 24;

/**
 * The strategy `Auto`: divides the network evenly between the zones, and each zone's part between the specs, in order.
 */
export function planSubnets(cidrBlock: string, zones: string[], specs: SubnetSpec[]): PlannedSubnet[] {
  const [address, mask] = cidrBlock.split('/') as [string, string];
  const perZone = Number(mask) + Math.ceil(Math.log2(zones.length));
  return zones.flatMap((zone, zoneIndex) => {
    const begin = toNumber(address) + zoneIndex * sizeOf(perZone);
    let next = begin;
    return specs.map(({ type, cidrMask = defaultMask }): PlannedSubnet => {
      const size = sizeOf(cidrMask);
      // A subnet starts at a multiple of its size.
      const start = Math.ceil(next / size) * size;
      next = start + size;
      if (next > begin + sizeOf(perZone)) throw new Error(`the subnets of a zone do not fit into /${perZone}`);
      return { type, zone, zoneIndex, cidrBlock: `${toText(start)}/${cidrMask}` };
    });
  });
}

const sizeOf = (mask: number): number => 2 ** (32 - mask);
const toNumber = (address: string): number => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
const toText = (value: number): string => [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
