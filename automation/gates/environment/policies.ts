import { check, type Gate, type Measurement } from '../../journal/verdict.ts';
import { judgeResources, type ResourceFacts } from './resource-policies.ts';

/** What the policies look at. A fact that could not be found out is undefined, and then inconclusive. */
export interface PolicyFacts {
  /** Client connections of the databases over the network, from `pg_stat_ssl`. */
  databaseConnections?: { encrypted: number; plain: number } | undefined;
  /** `password_encryption` of the databases. */
  passwordEncryption?: string | undefined;
  /** Secret files with their permission bits. */
  secretFiles?: { path: string; mode: number }[] | undefined;
  /** Addresses on which the environment's ports are open, as `host:port`. */
  listeners?: string[] | undefined;
  /** Ports meant for everybody, such as the entry point's. */
  publicPorts?: number[] | undefined;
  /** Per personal column outside production: values that are not masked. Undefined: this is production. */
  unmasked?: { column: string; rows: number; checked: number }[] | undefined;
  /** Whether the volume under the data is encrypted; undefined: the platform cannot tell. */
  volumeEncrypted?: boolean | undefined;
}

/** A rule of security or privacy: looks at the facts, and says nothing where it does not apply. Pure. */
export type Policy = (facts: PolicyFacts) => Measurement[];

const unknown = (name: string, wanted: string): Measurement[] => [
  { name, measured: 'unknown', wanted, verdict: 'inconclusive', note: 'The fact could not be found out.' },
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
  return [check(name, wanted, passwordEncryption, passwordEncryption === wanted, 'Set password_encryption.')];
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
    if (checked === 0) return { name, measured: 'no value to look at', wanted, verdict: 'inconclusive' };
    return check(
      name,
      wanted,
      rows === 0 ? `${checked} values masked` : `${rows} of ${checked} not masked`,
      rows === 0,
      'Real personal data is outside production.',
    );
  });
};

/** Says nothing where the platform cannot tell: what is below a disk (its own encryption, a host's) is not seen from above. */
const encryptedAtRest: Policy = ({ volumeEncrypted }) => {
  const [name, wanted] = ['data at rest', 'on an encrypted volume'];
  if (volumeEncrypted === undefined) return [];
  const todo = 'Put the data directory on an encrypted volume.';
  return [check(name, wanted, volumeEncrypted ? 'encrypted' : 'not encrypted', volumeEncrypted, todo)];
};

/** Of a platform whose secrets and ports are files and sockets of this machine: what an audit asks first. */
export const localPolicies: readonly Policy[] = [
  encryptedConnections,
  scramPasswords,
  privateSecrets,
  loopbackOnly,
  encryptedAtRest,
];
/** Of one whose secrets, ports and volumes are resources: rules for resources judge those. */
export const cloudPolicies: readonly Policy[] = [encryptedConnections, scramPasswords];
/** For environments that hold personal data. */
export const privacyPolicies: readonly Policy[] = [maskedOutsideProduction];

/** Judges facts by policies, and resources by the rules of the policy pack. */
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
