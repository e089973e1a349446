import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { colours, type Colour } from '../../model.ts';
import { parseTrafficMap, type TrafficState } from '../haproxy/traffic-map.ts';

/** Timeout for a connection to a database, ms. Later, the database counts as down. */
const probeMs = 500;

/** Reads the traffic map on disk. The router writes it before it changes the balancer. */
export async function readTrafficMap(file: string): Promise<TrafficState> {
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '');
  return parseTrafficMap(new Map(lines.map((line) => line.split(' ', 2) as [string, string])));
}

/** Whether a server accepts connections on a loopback port. */
export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const settle = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(probeMs, () => settle(false));
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}

/** Metrics that HAProxy's exporter does not have, in Prometheus's text format. */
export function renderExposition({ split }: TrafficState, databaseUp: Record<Colour, boolean>): string {
  const share = (colour: Colour) =>
    split === undefined ? 0 : split.live === colour ? 100 - split.percent : split.percent;
  return [
    ...metric('greenlight_live', 'Whether the colour gets the writes', (colour) => Number(split?.live === colour)),
    ...metric('greenlight_reads_percent', 'Percent of the reads that the colour is to get', share),
    ...metric('greenlight_colour_in_use', 'Whether the colour gets any requests of users', (colour) =>
      Number(split?.live === colour || share(colour) > 0),
    ),
    ...metric('greenlight_database_up', 'Whether the database of the colour accepts connections', (colour) =>
      Number(databaseUp[colour]),
    ),
    '',
  ].join('\n');
}

const metric = (name: string, help: string, value: (colour: Colour) => number): string[] => [
  `# HELP ${name} ${help}`,
  `# TYPE ${name} gauge`,
  ...colours.map((colour) => `${name}{colour="${colour}"} ${value(colour)}`),
];
