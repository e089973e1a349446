import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import type { z } from 'zod';
import { renderReleaseDefinition, runInit } from '../../../../automation/commands/init.ts';
import { checkRelease } from '../../../../automation/config/load.ts';
import { gatesOf } from '../../../../automation/release/plan.ts';
import { elementOf, metaOf, shapeOf } from '../../../../automation/config/reflect.ts';
import { releaseDefinition } from '../../../../automation/config/schema.ts';
import { OperationError } from '../../../../infra/lib/errors.ts';
import { packageRoot } from '../../../../infra/lib/paths.ts';

const define = pathToFileURL(join(packageRoot, 'automation/config/define.ts')).href;

const quiet = (): void => undefined;

/** The file is plain JavaScript: only its import needs TypeScript. */
async function evaluate(text: string): Promise<unknown> {
  const url = `data:text/javascript,${encodeURIComponent(text)}`;
  return ((await import(url)) as { default: unknown }).default;
}

/** Every key of the schema, as `application.services[].name`. */
function keysOf(schema: z.ZodType, prefix = ''): { path: string; schema: z.ZodType }[] {
  return Object.entries(shapeOf(schema) ?? {}).flatMap(([key, value]) => {
    const element = elementOf(value);
    const path = `${prefix}${key}`;
    return [{ path, schema: value }, ...keysOf(element ?? value, `${path}${element === undefined ? '' : '[]'}.`)];
  });
}

describe('the annotated release definition of npm run init', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'greenlight-init-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it('is valid as it is written', async () => {
    const written = await evaluate(renderReleaseDefinition(define));
    expect(() => checkRelease('greenlight.config.ts', written, gatesOf)).not.to.throw();
  });

  it('is valid with everything uncommented that can be', async () => {
    const everything = renderReleaseDefinition(define).replace(/^(\s*)(?:\/\/ )+/gm, '$1');
    const settings = everything.replace(/^Release definition\..*$/m, '');
    const written = (await evaluate(settings)) as { canary: object };
    const refused = releaseDefinition.safeParse(written).error?.issues ?? [];
    expect(refused.map(({ path }) => path.join('.'))).to.deep.equal(['canary.steps']);
    // With a read-only window there is no canary, which has to be written by hand.
    const result = releaseDefinition.safeParse({
      ...written,
      canary: { ...written.canary, steps: [] },
    });
    expect(result.error?.issues ?? []).to.deep.equal([]);
    expect(result.data?.application.migrations?.incompatible?.readOnlyWindow.longestSeconds).to.equal(60);
    expect(result.data?.window?.timeZone).to.equal('Europe/Berlin');
    expect(result.data?.security.authentication?.loginPath).to.equal('/api/login');
  });

  it('has every key of the schema, each with its description', () => {
    const text = renderReleaseDefinition(define);
    const keys = keysOf(releaseDefinition);
    expect(keys.length).to.be.greaterThan(90);
    for (const { path, schema } of keys) {
      const description = metaOf(schema)['description'];
      expect(description, `${path} has no description`).to.be.a('string');
      expect(text, path).to.include(`/** ${String(description)} */`);
      expect(text, path).to.match(new RegExp(`^[ /]*${path.split('.').at(-1) ?? ''}: `, 'm'));
    }
  });

  it('is written into the folder that was named', async () => {
    const printed: string[] = [];
    expect(await runInit({ directory, all: true }, (text) => printed.push(text))).to.equal(0);
    const path = join(directory, 'greenlight.config.ts');
    expect(printed[0]).to.equal(`Written: ${path}`);
    expect(printed[1]).to.include(`npm run release -- --config ${path} --dry-run`);
    const text = await readFile(path, 'utf8');
    expect(text).to.match(/^import \{ defineRelease \} from '\.\..*\/automation\/config\/define\.ts';/);
  });

  it('never overwrites without --force', async () => {
    const path = join(directory, 'greenlight.config.ts');
    await writeFile(path, 'mine');
    await runInit({ directory, all: true }, quiet).then(
      () => expect.fail('it was overwritten'),
      (error: unknown) => {
        expect(error).to.be.instanceOf(OperationError);
        expect((error as Error).message)
          .to.include(path)
          .and.to.include('exists already')
          .and.to.include('--force');
      },
    );
    expect(await readFile(path, 'utf8')).to.equal('mine');
    expect(await runInit({ directory, force: true, all: true }, quiet)).to.equal(0);
    expect(await readFile(path, 'utf8')).to.include('defineRelease');
  });

  it('says why where it cannot be written', async () => {
    await runInit({ directory: join(directory, 'nowhere') }, quiet).then(
      () => expect.fail('it was written'),
      (error: Error) => expect(error.message).to.include('no such folder').and.to.include(`mkdir -p ${directory}`),
    );
  });
});

describe('init, which looks first', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'greenlight-init-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const refused = async (options: Partial<Parameters<typeof runInit>[0]> = {}): Promise<OperationError> => {
    try {
      await runInit({ directory, yes: true, start: false, ...options }, quiet);
    } catch (error) {
      expect(error).to.be.instanceOf(OperationError);
      return error as OperationError;
    }
    return expect.fail('it was written');
  };
  const written = () => readFile(join(directory, 'greenlight.config.ts'), 'utf8');

  it('writes what the validator accepts', async () => {
    await writeFile(join(directory, 'package.json'), '{"name":"a","version":"1.0.0","scripts":{"start":"node a.js"}}');
    await writeFile(join(directory, 'a.js'), "get('/health', process.env.DATABASE_URL); listen(process.env.PORT)");
    const printed: string[] = [];
    expect(await runInit({ directory, yes: true, start: false }, (text) => printed.push(text))).to.equal(0);
    const text = await written();
    const definition = await evaluate(text.replace("'greenlight'", `'${define}'`));
    expect(checkRelease('a', definition, gatesOf).application.services[0]?.health).to.equal('/health');
    expect(printed.join()).not.to.include('To do');
  });

  it('leaves a TODO for what it does not find, and says so', async () => {
    await writeFile(join(directory, 'alembic.ini'), '');
    const printed: string[] = [];
    await runInit({ directory, yes: true, start: false }, (text) => printed.push(text));
    expect(printed.join()).to.include(
      'To do: application.services[0].start[0]: is still to be written: write the program',
    );
    expect(await written()).to.include('TODO: write the program');
  });

  it('writes nothing into an empty folder, beside an unreadable manifest, or into a folder of several packages', async () => {
    expect((await refused()).found).to.include('the folder is empty');
    await writeFile(join(directory, 'package.json'), '{');
    expect((await refused()).doing).to.equal('reading package.json');
    await writeFile(join(directory, 'package.json'), '{"workspaces":["*"]}');
    await mkdir(join(directory, 'web'));
    await writeFile(join(directory, 'web', 'package.json'), '{}');
    expect((await refused()).todo).to.include('greenlight init --directory web');
    await written().then(
      () => expect.fail('it was written'),
      () => undefined,
    );
  });

  it('never overwrites a definition without --force', async () => {
    await writeFile(join(directory, 'greenlight.config.ts'), 'mine');
    expect((await refused()).found).to.equal('it exists already');
    expect(await written()).to.equal('mine');
  });
});
