import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { execaSync } from 'execa';
import {
  renderProgram,
  renderScript,
  renderSupervisor,
  socketFile,
  type Program,
} from '../../../../../infra/local/supervisor/config.ts';

const files = { directory: '/env/100%/supervisor', logs: '/env/100%/logs' };
const program: Program = {
  name: 'api.blue.1',
  argv: ['node', 'server.mjs'],
  env: { PASSWORD: 'geheim' },
  cwd: '/artefact',
  ready: { kind: 'none' },
  readySeconds: 5,
  stopSignal: 'TERM',
  stopSeconds: 15,
  stopGroup: true,
  logMegabytes: 5,
  restartOn: ['abc'],
};

describe('what the supervisor reads', () => {
  it('listens on its socket alone', () => {
    const text = renderSupervisor(files);
    expect(text).to.include('[unix_http_server]').and.not.include('inet_http_server');
    expect(text).to.include('chmod=0700');
  });

  it('has a percent sign escaped, in the log file twice', () => {
    expect(renderSupervisor(files)).to.include('pidfile=/env/100%%/supervisor/supervisord.pid');
    expect(renderProgram(files, program)).to.include('stdout_logfile=/env/100%%%%/logs/api.blue.1.log');
  });

  it('holds neither environment nor arguments', () => {
    const text = renderProgram(files, program);
    expect(text).not.to.include('geheim');
    expect(text).not.to.include('server.mjs');
    expect(text).to.include('stopsignal=TERM').and.include('stopwaitsecs=15');
  });

  it('moves the socket where its path would be too long', () => {
    const long = { ...files, directory: `/${'x'.repeat(120)}` };
    expect(Buffer.byteLength(socketFile(long))).to.be.lessThan(91);
    expect(socketFile({ ...files, directory: `/${'y'.repeat(120)}` })).not.to.equal(socketFile(long));
  });

  it('gives a program every value as it stands, and records which process it became', () => {
    const directory = mkdtempSync(join(tmpdir(), 'greenlight-script-'));
    try {
      const here = { directory, logs: directory };
      execaSync('mkdir', [join(directory, 'run')]);
      const value = `it's "quoted" $HOME \`x\` %s ; # \\ ünïcode\nsecond line`;
      const argv = [
        process.execPath,
        '-e',
        'console.log(JSON.stringify([process.pid, process.env.A, process.argv[1]]))',
        value,
      ];
      const script = join(directory, 'script');
      writeFileSync(script, renderScript(here, { ...program, argv, env: { A: value }, cwd: directory }));
      const [pid, variable, argument] = JSON.parse(execaSync('/bin/sh', [script]).stdout) as [number, string, string];
      expect([variable, argument]).to.deep.equal([value, value]);
      const recorded = execaSync('head', ['-n', '1', join(directory, 'run', 'api.blue.1.pid')]).stdout;
      expect(recorded).to.equal(String(pid));
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('reads secrets from their files, exactly, and does not contain them', () => {
    const directory = mkdtempSync(join(tmpdir(), 'greenlight-script-'));
    try {
      execaSync('mkdir', [join(directory, 'run')]);
      const every = Array.from({ length: 0x2ff }, (_, i) => String.fromCodePoint(i + 1)).join('');
      const value = `${every}it's\n"x" $HOME $(id) \\ %s 🔑 s~1~\n\n`;
      const file = join(directory, "it's a file");
      writeFileSync(file, value);
      const argv = [process.execPath, '-e', 'process.stdout.write(JSON.stringify([process.env.a, process.env.B]))'];
      const env = { a: 's~1~', B: "x'y s~1~:s~1~ z" };
      const script = renderScript(
        { directory, logs: directory },
        { ...program, argv, env, secretFiles: { 's~1~': file }, cwd: directory },
      );
      writeFileSync(join(directory, 'script'), script);
      const { stdout } = execaSync('/bin/sh', [join(directory, 'script')], { stripFinalNewline: false });
      expect(JSON.parse(stdout)).to.deep.equal([value, `x'y ${value}:${value} z`]);
      expect(script).not.to.include('🔑');
      rmSync(file);
      expect(execaSync('/bin/sh', [join(directory, 'script')], { reject: false }).exitCode).to.equal(112);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('is another program when what it reads at its start changes', () => {
    expect(renderScript(files, { ...program, restartOn: ['def'] })).not.to.equal(renderScript(files, program));
  });
});
