import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Layout } from '../../../../../infra/local/lib/layout.ts';
import { secret } from '../../../../../infra/local/provider/secret.ts';

describe('secrets of a local environment', () => {
  let directory: string;
  let layout: Layout;
  const of = () => ({ environment: 'staging' as const, directory, name: 'blue-app' as const });
  const refusal = async (work: () => unknown): Promise<string> => {
    try {
      await work();
    } catch (error) {
      return (error as Error).message;
    }
    return expect.fail('it was not refused');
  };

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'greenlight-secret-'));
    layout = new Layout('staging', directory);
    await mkdir(join(directory, 'secrets'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it('are made once, and stay', async () => {
    const made = await secret.create(of());
    const value = layout.secret('blue-app');
    expect(value).to.match(/^[\w-]{43}$/);
    expect(await secret.create(of())).to.eql(made);
    expect(layout.secret('blue-app')).to.equal(value);
    expect(await secret.read({ ...of(), ...made })).to.equal('as recorded');
  });

  const damages: Record<string, [content: string, found: string]> = {
    'whose file is empty': ['', 'is empty'],
    'whose file has only zeros, as after a power cut': ['\0'.repeat(44), 'is empty'],
    'whose file is cut off': ['S3-cr_et', 'is cut off: 8 of 43 characters'],
  };
  for (const [name, [content, found]] of Object.entries(damages)) {
    it(`${name} are refused, and nothing is made in their place`, async () => {
      const made = await secret.create(of());
      const file = layout.secretFile('blue-app');
      await writeFile(file, content);
      for (const work of [() => secret.create(of()), () => secret.read({ ...of(), ...made })])
        expect(await refusal(work))
          .to.contain(`reading the secret blue-app of staging: ${file} ${found}`)
          .and.contain('restore the file from a backup');
      expect(await readFile(file, 'utf8')).to.equal(content);
    });
  }

  it('that are empty are not given to a program', async () => {
    await writeFile(layout.secretFile('blue-app'), '\n');
    expect(await refusal(() => layout.secret('blue-app'))).to.contain('is empty');
  });
});
