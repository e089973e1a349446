import { OperationError } from '../../infra/lib/errors.ts';
import { compose } from './compose.ts';
import { dockerfile } from './containers.ts';
import { environment } from './environment.ts';
import {
  fact,
  type Detector,
  type Fact,
  type Facts,
  type MigrationFacts,
  type ProcessFacts,
  type ServiceFacts,
  type TestFacts,
} from './facts.ts';
import type { Folder } from './folder.ts';
import { health } from './health.ts';
import { migrations } from './migrations.ts';
import { node, workspaces } from './node.ts';
import { go, java, php, ruby } from './others.ts';
import { procfile } from './procfile.ts';
import { python } from './python.ts';
import { tests } from './tests.ts';
import { olderTag, versions } from './versions.ts';

/** What an application is, put together from what all detectors say. */
export interface Application {
  is: Fact<string> | undefined;
  name: Fact<string>;
  version: Fact<string>;
  /** An older version, and the git ref that a version is taken from. */
  baseline: (Fact<string> & { ref: string }) | undefined;
  prepare: Fact<string[]>[];
  services: ServiceFacts[];
  workers: ProcessFacts[];
  env: Record<string, Fact<string>>;
  database: Fact<true> | undefined;
  secrets: Record<string, Fact<string>>;
  migrations: MigrationFacts | undefined;
  tests: TestFacts[];
  /** Paths that may tell health, the most probable first. */
  health: Fact<string>[];
  notes: string[];
}

/** In the order of their word: what an earlier one says of a thing counts. */
const languages: Detector[] = [procfile, node, python, ruby, java, go, php, compose, dockerfile];

/**
 * Looks at an application's folder. Throws an OperationError if a manifest cannot be read, if it is a repository of several
 * packages, or if nothing is recognised.
 */
export function detect(folder: Folder): Application {
  const found = languages.map((detector) => detector(folder));
  const services = found.find((facts) => (facts.services ?? []).length > 0)?.services ?? [];
  const packages = workspaces(folder);
  if (packages.length > 0 && !startsHere(services)) throw severalPackages(packages);
  const rest = [migrations, environment, tests, health, versions].map((detector) => detector(folder));
  const all = [...found, ...rest];
  const first = <K extends keyof Facts>(key: K): Facts[K] =>
    all.map((facts) => facts[key]).find((value) => value !== undefined);
  const together = <T>(of: (facts: Facts) => T[] | undefined): T[] => all.flatMap((facts) => of(facts) ?? []);
  const merged = <T>(of: (facts: Facts) => Record<string, T> | undefined): Record<string, T> =>
    Object.assign({}, ...all.map((facts) => of(facts) ?? {}).reverse()) as Record<string, T>;
  if (services.length === 0 && first('is') === undefined && rest[0]?.migrations === undefined) throw unknown(folder);

  const env = merged((facts) => facts.env);
  const tool = first('migrations');
  const byTool = rest[0]?.migrations;
  const version = first('version') ?? fact('0.1.0', '');
  const baseline = olderTag(folder, version.value);
  const usesImage = services.some(({ image }) => image !== undefined);
  const usesDatabase = Object.values(env).find(({ value }) => value.includes('${database.'));
  return {
    is: first('is'),
    name: first('name') ?? fact('application', ''),
    version,
    baseline: baseline && { ...fact(baseline.version, `git tag ${baseline.tag}`), ref: baseline.ref },
    // In an image all is built already.
    prepare: usesImage ? [] : unique(together((facts) => facts.prepare)),
    services: services.length > 0 ? services : [{ name: 'web' }],
    workers: workersOf(together((facts) => facts.workers)),
    env,
    database:
      first('database') ??
      (usesDatabase === undefined
        ? tool === undefined
          ? undefined
          : fact(true, 'there are migrations')
        : fact(true, usesDatabase.from)),
    secrets: merged((facts) => facts.secrets),
    // A Procfile says how, and the tool where it keeps its records.
    migrations: tool === undefined ? undefined : { ...tool, records: byTool?.records ?? tool.records },
    tests: together((facts) => facts.tests),
    health: together((facts) => facts.health),
    notes: [...new Set(together((facts) => facts.notes))],
  };
}

const startsHere = (services: readonly ServiceFacts[]): boolean =>
  services.some(
    ({ start, image }) =>
      image !== undefined ||
      (start !== undefined && !/turbo|lerna|nx|workspace|concurrently/.test(start.value.join(' '))),
  );

const unique = (all: Fact<string[]>[]): Fact<string[]>[] =>
  all.filter((one, at) => all.findIndex(({ value }) => value.join(' ') === one.value.join(' ')) === at);

/** One worker of a name; the first that names it knows it best. */
function workersOf(all: ProcessFacts[]): ProcessFacts[] {
  return all.filter((one, at) => all.findIndex(({ name }) => name === one.name) === at);
}

function severalPackages(packages: readonly string[]): OperationError {
  return new OperationError(
    'looking at the application',
    `this folder holds several packages (${packages.join(', ')}), and no start command of its own`,
    `nothing was written; choose one: ${packages.map((one) => `greenlight init --directory ${one}`).join(', or ')}`,
  );
}

function unknown(folder: Folder): OperationError {
  const seen =
    folder.files.length === 0
      ? 'the folder is empty'
      : `none of its ${folder.files.length} files tells how the application starts`;
  return new OperationError(
    'looking at the application',
    `${seen}: no package.json with a start script, no Procfile, Dockerfile, compose file, manage.py, Gemfile, go.mod, pom.xml, build.gradle or artisan`,
    'nothing was written; go to the folder of the application (or name it with --directory), or write a definition by hand from one that has every key: greenlight init --all',
  );
}
