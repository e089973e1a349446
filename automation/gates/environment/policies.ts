import { check, type Gate, type Measurement } from '../../journal/verdict.ts';
import { judgeResources, type ResourceFacts } from './resource-policies.ts';

/** What the policies judge. A fact that could not be read is undefined. */
export interface PolicyFacts {
  /** Client connections of the live database, from `pg_stat_ssl`. */
  databaseConnections?: { encrypted: number; plain: number } | undefined;
  /** Setting `password_encryption` of the live database. */
  passwordEncryption?: string | undefined;
  /** Secret files with their permission bits. */
  secretFiles?: { path: string; mode: number }[] | undefined;
  /** Addresses on which the environment's ports are open, as `host:port`. */
  listeners?: string[] | undefined;
  /** Ports that may be open on every address, such as the entry point's. */
  publicPorts?: number[] | undefined;
  /** Per personal column: values checked, and how many are not masked. Undefined: not checked. */
  unmasked?: { column: string; rows: number; checked: number }[] | undefined;
  /** Columns of production that look personal and are not classified, out of how many. Undefined: not checked. */
  unclassified?: { suspects: string[]; columns: number; empty: number } | undefined;
  /** Whether the volume under the data is encrypted; undefined: the platform cannot tell. */
  volumeEncrypted?: boolean | undefined;
}

/** A rule of security or privacy. Pure; returns no measurement if the rule does not apply. */
export type Policy = (facts: PolicyFacts) => Measurement[];

const unknown = (name: string, wanted: string): Measurement[] => [
  { name, measured: 'unknown', wanted, verdict: 'inconclusive', note: 'This could not be read.' },
];

const encryptedConnections: Policy = ({ databaseConnections: seen }) => {
  const name = 'database connections';
  const wanted = 'all encrypted, >= 1 seen';
  if (seen === undefined || seen.encrypted + seen.plain === 0) return unknown(name, wanted);
  return [
    check(
      name,
      wanted,
      `${seen.encrypted} encrypted, ${seen.plain} plain`,
      seen.plain === 0,
      'Use sslmode=verify-full.',
    ),
  ];
};

const scramPasswords: Policy = ({ passwordEncryption }) => {
  const [name, wanted] = ['passwords in the database', 'scram-sha-256'];
  if (passwordEncryption === undefined) return unknown(name, wanted);
  return [
    check(
      name,
      wanted,
      passwordEncryption,
      passwordEncryption === wanted,
      'Set password_encryption to scram-sha-256, then set the passwords again.',
    ),
  ];
};

const privateSecrets: Policy = ({ secretFiles }) => {
  const [name, wanted] = ['secret files', 'readable by their owner only'];
  if (secretFiles === undefined || secretFiles.length === 0) return unknown(name, wanted);
  const open = secretFiles.filter(({ mode }) => (mode & 0o077) !== 0);
  const listed = open.map(({ path, mode }) => `${path} (${(mode & 0o777).toString(8)})`).join(', ');
  return [
    check(
      name,
      wanted,
      open.length === 0 ? `${secretFiles.length} files` : listed,
      open.length === 0,
      'Set mode 0600.',
    ),
  ];
};

const loopbackOnly: Policy = ({ listeners, publicPorts = [] }) => {
  const [name, wanted] = ['open ports', 'loopback only, but for the entry point'];
  if (listeners === undefined || listeners.length === 0) return unknown(name, wanted);
  const open = listeners.filter((address) => {
    const port = Number(address.slice(address.lastIndexOf(':') + 1));
    return !/^(127\.|\[?::1\]?:|\[?::ffff:127\.)/.test(address) && !publicPorts.includes(port);
  });
  return [
    check(
      name,
      wanted,
      open.length === 0 ? `${listeners.length} on loopback` : open.join(', '),
      open.length === 0,
      'Bind it to 127.0.0.1.',
    ),
  ];
};

const maskedOutsideProduction: Policy = ({ unmasked }) => {
  if (unmasked === undefined) return [];
  return unmasked.map(({ column, rows, checked }) => {
    const [name, wanted] = [`personal data in ${column}`, 'masked'];
    if (checked === 0) return { name, measured: 'no value to check', wanted, verdict: 'inconclusive' };
    return check(
      name,
      wanted,
      rows === 0 ? `${checked} values masked` : `${rows} of ${checked} not masked`,
      rows === 0,
      'Real personal data may be outside production: check the rule of this column in data.personal.',
    );
  });
};

/** A column that looks personal has to be masked, or declared harmless with a reason. */
const classifiedPersonalData: Policy = ({ unclassified }) => {
  if (unclassified === undefined) return [];
  const { suspects, columns, empty } = unclassified;
  const [name, wanted] = ['columns that look personal', 'all in data.personal or data.harmless'];
  if (columns === 0) return [{ name, measured: 'no column to check', wanted, verdict: 'inconclusive', noTable: true }];
  const measured = `none of ${columns} columns is left out${empty === 0 ? '' : `; ${empty} are empty and were judged by name alone`}`;
  const todo = 'Mask each in data.personal, or say in data.harmless why it is not personal.';
  return [check(name, wanted, suspects.length === 0 ? measured : suspects.join('; '), suspects.length === 0, todo)];
};

/** Returns nothing if the platform cannot tell: encryption by the disk or by the host is not visible to the machine. */
const encryptedAtRest: Policy = ({ volumeEncrypted }) => {
  const [name, wanted] = ['data at rest', 'on an encrypted volume'];
  if (volumeEncrypted === undefined) return [];
  const todo = 'Put the data directory on an encrypted volume.';
  return [check(name, wanted, volumeEncrypted ? 'encrypted' : 'not encrypted', volumeEncrypted, todo)];
};

/** For a platform whose secrets and ports are files and sockets of this machine. */
export const localPolicies: readonly Policy[] = [
  encryptedConnections,
  scramPasswords,
  privateSecrets,
  loopbackOnly,
  encryptedAtRest,
];

/** For a platform whose secrets, ports and volumes are resources, which the rules for resources judge. */
export const cloudPolicies: readonly Policy[] = [encryptedConnections, scramPasswords];

/** For environments that hold personal data. */
export const privacyPolicies: readonly Policy[] = [maskedOutsideProduction, classifiedPersonalData];

/** Judges facts by `policies`, and the resources of the stacks by the rules of the policy pack. */
export function policiesGate(options: {
  facts: () => Promise<PolicyFacts>;
  policies: readonly Policy[];
  resources: () => Promise<ResourceFacts>;
}): Gate {
  const { policies } = options;
  return {
    id: 'policies',
    title: 'Security and privacy policies',
    async measure({ evidence }) {
      const facts = await options.facts();
      const resources = await options.resources();
      await evidence.write('facts.json', JSON.stringify(facts, undefined, 2));
      const ofResources = judgeResources(resources);
      const seen = resources.stacks.map(({ environment, kind, resources: all }) => ({
        stack: `${environment}-${kind}`,
        resources: all.map(({ type, name }) => `${type} ${name}`),
      }));
      await evidence.write('resources.json', JSON.stringify({ stacks: seen, judged: ofResources }, undefined, 2));
      const measurements = [...policies.flatMap((policy) => policy(facts)), ...ofResources];
      const [covered] = ofResources;
      const measured = `${measurements.length} checks passed; rules for resources: ${covered?.measured}`;
      return { measurements, summary: { measured, wanted: 'every check' } };
    },
  };
}
