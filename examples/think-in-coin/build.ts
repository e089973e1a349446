import { build, type Plugin } from 'esbuild';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { faults } from './faults.ts';

/**
 * Builds GREENLIGHT_VERSION of the sample into GREENLIGHT_OUT: bundles that need nothing but Node, pages, migrations,
 * and this version's own tests. The same input gives the same bytes.
 */

const here = import.meta.dirname;
const root = resolve(here, '../..');

/** Semantic versions in order; a pre-release comes before its release. */
function compareVersions(a: string, b: string): number {
  const parse = (version: string) => {
    const [numbers = '', ...pre] = version.split('-');
    return { numbers: numbers.split('.').map(Number), pre: pre.join('-') };
  };
  const [left, right] = [parse(a), parse(b)];
  for (let i = 0; i < 3; i += 1) {
    const difference = (left.numbers[i] ?? 0) - (right.numbers[i] ?? 0);
    if (difference !== 0) return difference;
  }
  if (left.pre === right.pre) return 0;
  if (!left.pre) return 1;
  if (!right.pre) return -1;
  return left.pre.localeCompare(right.pre, 'en', { numeric: true });
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}

/** The newest edition that has `file` and is not newer than the version. */
function editionFile(file: string): string {
  const found = readdirSync(join(here, 'editions'))
    .filter((edition) => compareVersions(edition, version) <= 0)
    .sort((a, b) => compareVersions(b, a))
    .find((edition) => existsSync(join(here, 'editions', edition, file)));
  return found ? join(here, 'editions', found, file) : fail(`Building ${version}: no edition has ${file}.`);
}

const version = process.env['GREENLIGHT_VERSION'] ?? fail('GREENLIGHT_VERSION is missing: say which version to build.');
const out = process.env['GREENLIGHT_OUT'] ?? fail('GREENLIGHT_OUT is missing: give an empty directory.');
if (compareVersions(version, '1.0.0') < 0) fail(`There is no version ${version}: the first one is 1.0.0.`);
const wanted = process.env['GREENLIGHT_SAMPLE_FAULT'] ?? '';
const faultName = wanted.split('@')[0] ?? '';
if (wanted !== '' && !faults.some((fault) => fault === faultName))
  fail(`GREENLIGHT_SAMPLE_FAULT: there is no fault "${faultName}". There are: ${faults.join(', ')}.`);
// The version that a drill starts from stays sound.
const fault = compareVersions(version, '2.0.0') >= 0 ? wanted : '';

const editions: Plugin = {
  name: 'editions',
  setup(builder) {
    builder.onResolve({ filter: /^#edition\// }, ({ path }) => ({ path: editionFile(path.slice('#edition/'.length)) }));
  },
};

async function bundle(): Promise<void> {
  await build({
    absWorkingDir: root,
    entryPoints: {
      api: join(here, 'api/main.ts'),
      web: join(here, 'web/main.ts'),
      'price-feed': join(here, 'stand-ins/price-feed.ts'),
      seed: join(here, 'seed/main.ts'),
      'tests/unit': join(here, 'tests/unit/all.ts'),
      'tests/integration': join(here, 'tests/integration/all.ts'),
      'tests/acceptance': join(here, 'tests/acceptance/all.ts'),
      'tests/smoke': join(here, 'tests/smoke/all.ts'),
    },
    outdir: out,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    // pg is CommonJS and asks for Node's modules by require, which an ES module does not have.
    banner: { js: "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);" },
    external: ['pg-native'],
    define: { SAMPLE_VERSION: JSON.stringify(version), SAMPLE_FAULT: JSON.stringify(fault) },
    legalComments: 'none',
    logLevel: 'warning',
    plugins: [editions],
  });
}

function pages(): void {
  mkdirSync(join(out, 'public'));
  for (const name of readdirSync(join(here, 'web/public')).sort()) {
    const text = readFileSync(join(here, 'web/public', name), 'utf8');
    writeFileSync(join(out, 'public', name), text.replaceAll('{{version}}', version));
  }
  copyFileSync(editionFile('public/edition.js'), join(out, 'public/edition.js'));
}

/** `<number>_<version>_<what>.sql`: those of this version and earlier ones. */
function migrations(): void {
  mkdirSync(join(out, 'migrations'));
  for (const name of readdirSync(join(here, 'migrations')).sort()) {
    const since = name.split('_')[1] ?? '';
    if (compareVersions(since, version) <= 0)
      copyFileSync(join(here, 'migrations', name), join(out, 'migrations', name));
  }
  const planted =
    fault === '' ? undefined : readdirSync(join(here, 'faults')).find((name) => name === `${faultName}.sql`);
  if (planted) copyFileSync(join(here, 'faults', planted), join(out, 'migrations', `008_2.0.0_${planted}`));
}

await bundle();
pages();
migrations();
