import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { recordedPorts, allPorts } from '../../../infra/local/supervisor/reserved-ports.ts';
import { packInto, Repository } from '../../lib/outside.ts';
import { hello } from './hello.ts';

/** Applications in repositories of their own, released by the package: one, and two at once that have the same name. */
describe('releases outside of this repository', function () {
  this.timeout(1_800_000);
  // The steps build on each other.
  this.bail(true);

  const work = mkdtempSync(join(tmpdir(), 'greenlight-pack-'));
  const repositories: Repository[] = [];
  let tarball: string;
  before(async () => {
    tarball = await packInto(work);
  });
  after(async () => {
    for (const repository of repositories) {
      const { code, output } = await repository.greenlight('destroy', '--all', '--yes');
      // Where that failed its files are all that says what still runs.
      expect(code, output).to.equal(0);
      await repository.remove();
    }
    rmSync(work, { recursive: true, force: true });
  });

  const repository = async (text: string, environments?: string): Promise<Repository> => {
    const made = await Repository.with(tarball, hello(text, environments));
    await made.link('pg');
    repositories.push(made);
    return made;
  };
  const productionOf = ({ directory }: Repository) => join(directory, '.greenlight/environments/production');
  const portsOf = async (of: Repository) => {
    const ports = await recordedPorts(join(productionOf(of), 'ports.json'));
    if (ports === undefined) throw new Error(`no ports in ${productionOf(of)}`);
    return ports;
  };

  it('take an application live from its own folder, with what it writes in its own .greenlight', async () => {
    const one = await repository('one\n');
    const { code, output } = await one.greenlight('release', '--yes');
    expect(code, output).to.equal(0);
    expect(output).to.match(/GO {2}hello 1\.0\.0 in production/);
    const status = await one.greenlight('status');
    expect(status.output).to.match(/blue +1\.0\.0 +live +100 %/);
    expect(await one.greenlight('resume')).to.satisfy(({ output: said }: { output: string }) =>
      said.includes('start one: npx greenlight release'),
    );
  });

  it('take two more live at the same time, which have the same name, beside the first', async () => {
    const both = [await repository('two\n'), await repository('three\n')];
    const ended = await Promise.all(both.map((one) => one.greenlight('release', '--yes')));
    for (const { code, output } of ended) expect(code, output).to.equal(0);
    const ports = (await Promise.all(repositories.map(portsOf))).flatMap(allPorts);
    expect(new Set(ports).size).to.equal(ports.length);
    const said = await Promise.all(
      repositories.map(async (one) => {
        const ca = join(productionOf(one), 'ca/ca.pem');
        expect(readFileSync(ca, 'utf8')).to.include('CERTIFICATE');
        const url = `https://localhost:${(await portsOf(one)).https}/`;
        return (await one.run('curl', ['--silent', '--show-error', '--cacert', ca, url])).output;
      }),
    );
    expect(said).to.deep.equal(['one', 'two', 'three']);
  });

  it('refuse an entry port that another application has, before anything is changed', async () => {
    const [first] = repositories as [Repository];
    const { https } = await portsOf(first);
    const late = await repository('late\n', `{ production: { port: ${https} } }`);
    const { code, output } = await late.greenlight('release', '--yes');
    expect(code, output).to.equal(2);
    expect(output).to.include(`port ${https} of production is taken by the environment in ${productionOf(first)}`);
    expect(await recordedPorts(join(productionOf(late), 'ports.json'))).to.equal(undefined);
    expect(output).not.to.include('apply stack');
  });
});
