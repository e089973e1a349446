import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { encryptionOf, lockDirectory, recorded, repairCheckpoint } from '../../../../automation/stacks/state.ts';
import { directoryStateFiles } from '../../../../infra/local/runtime/state-files.ts';
import type { EngineSettings } from '../../../../infra/platform/engine.ts';

const stack = 'production-blue';
const checkpoint = (version: string | undefined) =>
  JSON.stringify({
    version: 3,
    checkpoint: {
      stack,
      latest: {
        resources: [
          {
            urn: 'urn:root',
            type: 'pulumi:pulumi:Stack',
            outputs: { colour: 'blue', artefact: version && { version } },
          },
          { urn: 'urn:db', type: 'greenlight:local:PostgresCluster', custom: true },
        ],
      },
    },
  });

describe('the record of a stack', () => {
  let home: string;
  let settings: EngineSettings;
  const file = () => join(home, '.pulumi', 'stacks', 'greenlight', `${stack}.json`);
  const history = () => join(home, '.pulumi', 'history', 'greenlight', stack, `${stack}-2.checkpoint.json`);
  const lock = async () => {
    await mkdir(join(home, lockDirectory(stack)), { recursive: true });
    await writeFile(join(home, lockDirectory(stack), 'dead.json'), JSON.stringify({ pid: 2 ** 22 + 1 }));
  };
  const versionOf = async () =>
    ((await recorded(settings, stack))?.outputs['artefact'] as { version: string } | undefined)?.version;
  const refusal = (promise: Promise<unknown>) =>
    promise.then(
      (value) => `nothing was refused: ${JSON.stringify(value)}`,
      (error: Error) => `${error.name}: ${error.message}`,
    );

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'greenlight-record-'));
    settings = {
      backendUrl: pathToFileURL(home).href,
      state: directoryStateFiles(home),
    } as EngineSettings;
    await mkdir(dirname(file()), { recursive: true });
    await mkdir(dirname(history()), { recursive: true });
    await writeFile(file(), checkpoint('2.0.0'));
    await writeFile(`${file()}.bak`, checkpoint(undefined));
    await writeFile(history(), checkpoint('2.0.0'));
  });
  afterEach(() => rm(home, { recursive: true }));

  const whole = checkpoint('2.0.0');
  const damages: [string, string | undefined][] = [
    ...[0, 10, 60, 99].map((percent): [string, string] => [
      `cut off at ${percent} %`,
      whole.slice(0, Math.floor((whole.length * percent) / 100)),
    ]),
    ['of zeros, as a crash of the machine leaves it', '\0'.repeat(whole.length)],
    ['that is no record', '{}'],
    ['that is gone while its copy is there', undefined],
  ];
  for (const [how, text] of damages) {
    it(`${how} is damaged, never "not there", and never its copy of before`, async () => {
      if (text === undefined) await rm(file());
      else await writeFile(file(), text);
      for (const read of [recorded, encryptionOf, repairCheckpoint]) {
        const refused = await refusal(read(settings, stack));
        expect(refused).to.match(/^UntrustedState: reading the state of the stack production-blue: /);
        expect(refused).to.include(file()).and.include('nothing was changed');
        expect(refused).to.include(`copy ${history()} to ${file()}`);
      }
      await writeFile(history(), '{"checkpoint":');
      expect(await refusal(recorded(settings, stack))).to.include(join(home, '.pulumi', 'backups'));
      expect(await readFile(`${file()}.bak`, 'utf8')).to.equal(checkpoint(undefined));
    });
  }

  it('is its copy where the engine was killed while it wrote, which its lock tells', async () => {
    await lock();
    for (const text of ['', whole.slice(0, 60), undefined]) {
      if (text === undefined) await rm(file());
      else await writeFile(file(), text);
      expect((await recorded(settings, stack))?.resources).to.have.length(2);
      expect(await versionOf()).to.equal(undefined);
      await repairCheckpoint(settings, stack);
      expect(await readFile(file(), 'utf8')).to.equal(checkpoint(undefined));
    }
    await writeFile(file(), whole.slice(0, 60));
    await writeFile(`${file()}.bak`, '');
    expect(await refusal(recorded(settings, stack))).to.include('is damaged');
  });

  it('is read and left alone where it is whole, and undefined where there is no stack', async () => {
    await repairCheckpoint(settings, stack);
    expect(await versionOf()).to.equal('2.0.0');
    expect(await recorded(settings, 'production-green')).to.equal(undefined);
    await repairCheckpoint(settings, 'production-green');
  });
});
