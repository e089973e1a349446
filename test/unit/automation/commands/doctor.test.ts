import { expect } from 'chai';
import { engineFinding, nodeFinding, renderFindings, toolFinding } from '../../../../automation/commands/doctor.ts';
import { OperationError } from '../../../../infra/lib/errors.ts';
import { loadTools, type Inspection, type Tool } from '../../../../automation/toolchain/inspect.mjs';

function toolNamed(name: string): Tool {
  const tool = loadTools().find((candidate) => candidate.name === name);
  if (tool === undefined) throw new Error(`no tool ${name}`);
  return tool;
}

const inspection = (name: string, rest: Partial<Inspection>): Inspection => ({
  tool: toolNamed(name),
  paths: {},
  wanted: '>= 1',
  version: undefined,
  problem: undefined,
  state: 'missing',
  ...rest,
});

describe('what the doctor says', () => {
  it('has nothing to do where a tool is good', () => {
    const finding = toolFinding(inspection('k6', { state: 'good', version: '1.8.1', paths: { k6: '/opt/k6' } }));
    expect(finding).to.deep.equal({ name: 'k6', state: 'good', version: '1.8.1', wanted: '>= 1', where: '/opt/k6' });
  });

  it('says which way a tool came', () => {
    const found = inspection('k6', { state: 'good', version: '1.8.1', paths: { k6: '/opt/k6' } });
    expect(toolFinding(found, 'built by Go').origin).to.equal('built by Go');
  });

  it('says what a missing tool is for and how to get it', () => {
    const finding = toolFinding(inspection('pulumi', {}));
    expect(finding.state).to.equal('problem');
    expect(finding.where).to.equal('not found');
    expect(finding.todo).to.include('npm run setup').and.to.include('get.pulumi.com');
  });

  it('does not make a problem of an optional tool', () => {
    expect(toolFinding(inspection('zap', {})).state).to.equal('optional');
  });

  it('says what an incomplete tool lacks', () => {
    const found = { state: 'incomplete' as const, paths: { postgres: '/opt/postgres' }, problem: 'initdb missing' };
    expect(toolFinding(inspection('postgresql', found)).where).to.equal('/opt/postgres: initdb missing');
  });

  it('says which container engine answers, and what it cannot limit', async () => {
    const engine = {
      name: 'podman' as const,
      path: '/p',
      version: '4.3.1',
      env: {},
      enforces: { memory: false, cpus: true },
    };
    const finding = await engineFinding(() => Promise.resolve(engine));
    expect(finding).to.include({
      state: 'good',
      version: '4.3.1',
      where: 'podman at /p answers, without limits of memory',
    });
  });

  it('does not make a problem of a container engine that is not there', async () => {
    const none = new OperationError('looking', 'podman is not installed', 'install it');
    const finding = await engineFinding(() => Promise.reject(none));
    expect(finding).to.include({ state: 'optional', where: 'podman is not installed' });
  });

  it('refuses a Node that cannot run TypeScript', () => {
    expect(nodeFinding('20.20.2').state).to.equal('problem');
    expect(nodeFinding('24.21.0').state).to.equal('good');
  });

  it('draws aligned columns, the cure under its line, and a verdict', () => {
    const text = renderFindings([
      { name: 'node', state: 'good', version: '24.21.0', wanted: '>= 24', where: '/n' },
      { name: 'moto', state: 'good', version: '5.2.5', wanted: '>= 5', where: '/m', origin: 'PyPI' },
      { name: 'k6', state: 'problem', version: '-', wanted: '>= 1.8.1', where: 'not found', todo: 'npm run setup' },
    ]);
    expect(text.split('\n')).to.deep.equal([
      '    tool  version  wanted    found      came by',
      'ok  node  24.21.0  >= 24     /n',
      'ok  moto  5.2.5    >= 5      /m         PyPI',
      '!!  k6    -        >= 1.8.1  not found',
      '      -> npm run setup',
      '',
      '1 to fix: see the lines with "!!".',
      '',
    ]);
  });
});
