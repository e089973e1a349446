import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { ConfigError, loadRelease } from '../../../../automation/config/load.ts';
import { gatesOf } from '../../../../automation/release/plan.ts';
import { packageRoot } from '../../../../infra/lib/paths.ts';
import { validDefinition } from '../../../lib/valid-definition.ts';

describe('loading a release definition', () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'greenlight-config-'));
    await writeFile(join(directory, 'package.json'), '{ "type": "module" }');
  });
  after(() => rm(directory, { recursive: true, force: true }));

  async function write(text: string): Promise<string> {
    const path = join(directory, 'greenlight.config.ts');
    await writeFile(path, text);
    return path;
  }

  async function messageOf(text: string): Promise<string> {
    const path = await write(text);
    try {
      await loadRelease(gatesOf, path);
    } catch (error) {
      if (error instanceof ConfigError) return error.message;
      throw error;
    }
    throw new Error('it was loaded');
  }

  const define = pathToFileURL(join(packageRoot, 'automation/config/define.ts')).href;
  const source = (definition: unknown) =>
    `import { defineRelease } from '${define}';\nexport default defineRelease(${JSON.stringify(definition)});\n`;

  it('fills in the defaults', async () => {
    const path = await write(source(validDefinition()));
    const loaded = await loadRelease(gatesOf, path);
    expect(loaded.canary.steps).to.deep.equal([10, 50]);
    expect(loaded.environments.production.database.maxConnections).to.equal(100);
    expect(loaded.application.services[0]?.health).to.equal('/healthz');
  });

  it('lets a large database take days, and refuses a limit that is none [H3]', async () => {
    const valid = validDefinition();
    const limited = (limits: object) => source({ ...valid, data: { ...valid.data, limits } });
    const days = { restoreSeconds: 172_800, backupAgeSeconds: 172_800, copySeconds: 604_800, invariantSeconds: 7_200 };
    expect((await loadRelease(gatesOf, await write(limited(days)))).data.limits).to.deep.equal(days);
    const { limits } = (await loadRelease(gatesOf, await write(source(valid)))).data;
    expect(limits).to.deep.equal({
      restoreSeconds: 900,
      backupAgeSeconds: 300,
      copySeconds: 3600,
      invariantSeconds: 60,
    });
    for (const wrong of [{ copySeconds: -1 }, { copySecond: 5 }, { invariantSeconds: '60' }])
      expect(await loadRelease(gatesOf, await write(limited(wrong))).catch((e: Error) => e.name)).to.be.a('string');
  });

  it('takes a path from the folder that the person is in, which npm leaves', async () => {
    await write(source({ ...validDefinition(), approval: 'auto' }));
    const before = process.env['INIT_CWD'];
    process.env['INIT_CWD'] = directory;
    try {
      expect((await loadRelease(gatesOf, 'greenlight.config.ts')).approval).to.equal('auto');
    } finally {
      if (before === undefined) delete process.env['INIT_CWD'];
      else process.env['INIT_CWD'] = before;
    }
  });

  it('reads a file that was corrected anew', async () => {
    const first = await loadRelease(gatesOf, await write(source(validDefinition())));
    const changed = await loadRelease(gatesOf, await write(source({ ...validDefinition(), approval: 'auto' })));
    expect(first.approval).to.equal('ask');
    expect(changed.approval).to.equal('auto');
  });

  it('says how to begin where there is no file', async () => {
    const missing = join(directory, 'none.config.ts');
    await loadRelease(gatesOf, missing).then(
      () => expect.fail('it was loaded'),
      (error: Error) => {
        expect(error).to.be.instanceOf(ConfigError);
        expect(error.message)
          .to.include(missing)
          .and.to.include('there is no such file')
          .and.to.include('npm run init');
      },
    );
  });

  it('does not blame the file for a platform that the command line names', async () => {
    await loadRelease(gatesOf, await write(source(validDefinition())), 'loacl').then(
      () => expect.fail('it was loaded'),
      (error: Error) => {
        expect(error).not.to.be.instanceOf(ConfigError);
        expect(error.message)
          .to.include('no platform "loacl" (did you mean "local"?)')
          .and.to.include('--platform aws');
      },
    );
  });

  it('says that a folder is no file', async () => {
    await loadRelease(gatesOf, directory).then(
      () => expect.fail('it was loaded'),
      (error: Error) => expect(error.message).to.include('it is not a file'),
    );
  });

  const mistakes: [string, string, RegExp][] = [
    ['a syntax error', `export default {\n  name: 'x'\n  version: 1,\n};\n`, /line 3: it is not valid TypeScript: .*/],
    [
      'TypeScript that has to be compiled',
      `enum Colour { Blue }\nexport default Colour;\n`,
      /line 1: it is not valid TypeScript: .*enum/,
    ],
    [
      'no default export',
      `export const release = {};\n`,
      /it exports release, but no default; begin it with: export default/,
    ],
    ['no export at all', `const release = {};\nvoid release;\n`, /it exports nothing; begin it with/],
    [
      'a thrown error',
      `\n\nthrow new Error('no database URL');\n`,
      /line 3: it threw while it was loaded: no database URL/,
    ],
    ['a thrown text', `throw 'why not';\n`, /it threw "why not"/],
    [
      'an import that is not there',
      `import x from './nowhere.ts';\nexport default x;\n`,
      /it imports ".*nowhere\.ts", which does not exist/,
    ],
    [
      'a package that is not there',
      `import x from 'greenlight-nowhere';\nexport default x;\n`,
      /it imports "greenlight-nowhere", which does not exist/,
    ],
    [
      'a wrong definition',
      `export default { platform: 'moon' };\n`,
      /\d+ problems\n.*platform: found "moon"; choose one of "local", "aws"/,
    ],
  ];
  for (const [what, text, expected] of mistakes) {
    it(`explains ${what} without a stack trace`, async () => {
      const message = await messageOf(text);
      expect(message).to.match(expected);
      expect(message).to.include('Nothing was changed');
      expect(message).not.to.match(/\n\s+at /);
    });
  }
});
