import { fact, type Fact, type ProcessFacts, type ServiceFacts } from './facts.ts';
import type { Application } from './detect.ts';
import { argvOf } from './text.ts';
import { constant, members, Name, plain, type Noted } from './print.ts';

/** A definition that was made of facts. */
export interface Draft {
  /** The text of greenlight.config.ts. */
  text: string;
  /** What it exports. */
  definition: unknown;
  /** What was found and is not said in it, a sentence each. */
  notes: string[];
}

/** A fact and the key of the definition that says it. */
interface Row {
  key: string;
  of: (application: Application) => Noted | undefined;
}

const nonEmpty = <T extends object>(value: T): T | undefined => (Object.keys(value).length === 0 ? undefined : value);

/** Whether a definition may have a key, such as `application.workers`. */
export type Knows = (key: string) => boolean;

/** In the order of the file. */
const rows: Row[] = [
  { key: 'application.name', of: ({ name }) => name },
  { key: 'application.version', of: ({ version }) => version },
  {
    key: 'application.baseline',
    of: (application) =>
      allContained(application)
        ? undefined
        : application.baseline && fact(application.baseline.value, application.baseline.from),
  },
  { key: 'application.build', of: buildOf },
  {
    key: 'application.secrets',
    of: ({ secrets }) =>
      nonEmpty(
        Object.fromEntries(
          Object.entries(secrets).map(([name, { value, from }]) => [
            name,
            fact({ from: 'env', variable: value }, from),
          ]),
        ),
      ),
  },
  { key: 'application.services', of: (application) => application.services.map((one) => serviceOf(one, application)) },
  { key: 'application.workers', of: workersOf },
  { key: 'application.migrations', of: migrationsOf },
  { key: 'application.jobs', of: jobsOf },
  { key: 'tests', of: testsOf },
];

/**
 * The definition of an application. `knows`: keys that the schema has; a fact whose key it has not becomes a note. Defaults are left
 * out. `health`: the path that the running application answered.
 */
export function draft(found: Application, knows: Knows, answers: Answers = new Map()): Draft {
  const application = knows('application.services.0.image') ? found : withoutImages(found);
  const notes = [...application.notes];
  const tree: Record<string, Record<string, Noted>> = {};
  for (const { key, of } of rows) {
    const said = of(application);
    if (said === undefined) continue;
    const value = answered(said, answers);
    if (!knows(key)) {
      notes.push(`a definition has no key ${key} yet, for what was found: ${JSON.stringify(plain(value))}`);
      continue;
    }
    const [section = '', name] = key.split('.');
    if (name === undefined) tree[section] = value as Record<string, Noted>;
    else tree[section] = { ...tree[section], [name]: value };
  }
  const is = application.is === undefined ? '' : `: ${application.is.value} (${application.is.from})`;
  const text = [
    "import { defineRelease } from 'greenlight';",
    '',
    `// What greenlight init found${is}. Comments say from what a guess follows. All keys: init --all`,
    ...namesIn(tree).slice(0, 1).flatMap(constant),
    'export default defineRelease({',
    ...members(tree, '  '),
    '});',
    '',
  ].join('\n');
  return { text, definition: plain(tree), notes };
}

/** Where the schema has no images, the commands of containers are left to be written. */
function withoutImages(application: Application): Application {
  const images = [...application.services, ...application.workers].flatMap(
    ({ image }) => image?.value.dockerfile ?? [],
  );
  if (images.length === 0) return application;
  const plain = <T extends ProcessFacts>({ image: _, ...rest }: T): Omit<T, 'image'> => rest;
  return {
    ...application,
    services: application.services.map(plain),
    workers: application.workers.map(plain),
    notes: [...application.notes, `a definition has no key image yet, for ${[...new Set(images)].join(', ')}`],
  };
}

/** What a person has answered, by the text that stands for it. */
export type Answers = ReadonlyMap<string, string>;

/** Puts the answers in the places of the texts that begin with TODO. One that is all of a command line is split as a shell does. */
function answered(value: Noted, answers: Answers): Noted {
  if (typeof value === 'string') return answers.get(value) ?? value;
  if (Array.isArray(value)) {
    const [only] = value as Noted[];
    const line = value.length === 1 && typeof only === 'string' ? answers.get(only) : undefined;
    return line === undefined ? value.map((one: Noted) => answered(one, answers)) : fact(argvOf(line), 'as answered');
  }
  if (value instanceof Name) return new Name(value.text, answered(value.value, answers));
  if (typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inside]) => [
      key,
      inside === undefined ? inside : answered(inside as Noted, answers),
    ]),
  );
}

/** The image has what jobs and workers need, too. It is built from the folder as it is, and so not of an older version. */
const allContained = ({ services }: Application): boolean => services.every(({ image }) => image !== undefined);

/** A copy of the folder in which the commands have run. Several are one line of a shell, which stops at the first that fails. */
function buildOf(application: Application): Noted | undefined {
  if (allContained(application)) return undefined;
  const { prepare, baseline } = application;
  const from = prepare.map((one) => one.from).join('; ');
  const command =
    prepare.length === 0
      ? undefined
      : prepare.length === 1
        ? (prepare[0] as Fact<string[]>).value
        : ['sh', '-c', prepare.map(({ value }) => line(value)).join(' && ')];
  const build = {
    directory: '.',
    ...(baseline === undefined ? {} : { ref: baseline.ref }),
    ...(command === undefined ? {} : { prepare: command }),
  };
  return fact(build, [...(baseline === undefined ? [] : ['git tags']), ...(from === '' ? [] : [from])].join('; '));
}

/** An argument list as a line of a shell. */
function line(argv: readonly string[]): string {
  if (argv.length === 3 && argv[0] === 'sh' && argv[1] === '-c') return argv[2] ?? '';
  return argv
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`))
    .join(' ');
}

const noStart =
  'TODO: write the program and its arguments, such as start: ["node", "server.js"]; it listens on $HOST:$PORT';

function serviceOf(service: ServiceFacts, application: Application): Noted {
  const path = service.health ?? application.health[0];
  return {
    name: service.name,
    ...started(service),
    routes: ['/'],
    ...(path === undefined
      ? { health: fact('/', 'no path about health was found') }
      : path.value === '/healthz'
        ? {}
        : { health: path }),
    ...(application.database === undefined ? {} : { database: fact(true, application.database.from) }),
    env: variablesOf(service, application),
  };
}

function workersOf(application: Application): Noted | undefined {
  const { workers, database } = application;
  if (workers.length === 0) return undefined;
  const list = workers.map((worker): Noted => ({
    name: worker.name,
    ...(worker.image === undefined ? { start: worker.start?.value ?? [noStart] } : { image: worker.image.value }),
    ...(database === undefined ? {} : { database: true }),
    env: variablesOf(worker, application),
  }));
  return fact(list, sources(workers.flatMap(({ start, image }) => start ?? image ?? [])));
}

/** From what several facts follow. */
const sources = (facts: readonly Fact<unknown>[]): string => [...new Set(facts.map(({ from }) => from))].join('; ');

const started = ({ start, image }: ProcessFacts): { [key: string]: Noted } =>
  image !== undefined ? { image } : { start: start ?? [noStart] };

/** Variables of a process. Where several processes have the same, they are a constant of the file. */
function variablesOf({ env = {} }: ProcessFacts, application: Application): Noted | undefined {
  const all: Record<string, Fact<string>> = { ...application.env, ...secretVariables(application), ...env };
  if (Object.keys(all).length === 0) return undefined;
  const values = Object.fromEntries(Object.entries(all).map(([name, { value }]) => [name, value]));
  const group = fact<Noted>(values, sources(Object.values(all)));
  const jobs = application.migrations?.expand === undefined ? 0 : 1;
  const several = application.workers.length + application.services.length + jobs > 1;
  return several && Object.keys(env).length === 0 ? new Name('env', group) : group;
}

const secretVariables = ({ secrets }: Application): Record<string, Fact<string>> =>
  Object.fromEntries(
    Object.entries(secrets).map(([name, { value, from }]) => [value, fact(`\${secret.${name}}`, from)]),
  );

/** The constants that a definition names, once each. */
function namesIn(value: Noted | undefined): Name[] {
  if (value instanceof Name) return [value];
  if (typeof value !== 'object') return [];
  return Object.values(value).flatMap((inside: Noted | undefined) => namesIn(inside));
}

function migrationsOf({ migrations }: Application): Noted | undefined {
  if (migrations === undefined) return undefined;
  if (migrations.directory !== undefined) return { directory: migrations.directory };
  return {
    ...(migrations.expand === undefined ? {} : { expand: migrations.expand }),
    ...(migrations.records.length === 0 ? {} : { records: migrations.records }),
  };
}

/** What the migrations and tests need of the variables: what names the database and the secrets, and nothing of an instance. */
function jobsOf(application: Application): Noted | undefined {
  if (application.migrations?.expand === undefined) return undefined;
  const all = { ...application.env, ...secretVariables(application) };
  const needed = Object.entries(all).filter(([, { value }]) => !/\$\{(host|port|publicUrl|colour)\}/.test(value));
  if (needed.length === 0) return undefined;
  // The same constant, where an instance is told nothing else.
  const env = variablesOf({ name: '' }, application);
  if (env instanceof Name && needed.length === Object.keys(all).length) return { env };
  return { env: Object.fromEntries(needed.map(([name, { value }]) => [name, value])) };
}

function testsOf({ tests }: Application): Noted | undefined {
  return nonEmpty(
    Object.fromEntries(
      tests.map(({ kind, command, format }) => [
        kind,
        fact({ command: command.value, ...(format === 'junit' ? {} : { format }) }, command.from),
      ]),
    ),
  );
}
