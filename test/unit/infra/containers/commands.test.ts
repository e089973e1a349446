import { expect } from 'chai';
import {
  buildArguments,
  listArguments,
  pullArguments,
  pushArguments,
  removeArguments,
  runArguments,
  type Container,
} from '../../../../infra/containers/commands.ts';

const podman = { name: 'podman' as const, enforces: { memory: true, cpus: true } };
const container: Container = {
  name: 'greenlight-0-staging-web.blue.1',
  image: 'sha256:abc',
  env: ['PORT', 'DATABASE_URL'],
  mounts: [{ source: '/env/ca.pem' }],
  labels: { 'greenlight.home': '0' },
  readOnly: true,
  memoryMegabytes: 512,
  cpus: 1.5,
};
const after = (args: string[], flag: string) => args.flatMap((one, at) => (args[at - 1] === flag ? [one] : []));

describe('the command that runs a container', () => {
  const args = runArguments(podman, container);

  it('names variables, and has no value of any', () => {
    expect(after(args, '--env')).to.eql(['DATABASE_URL', 'PORT']);
  });

  it('gives it no privileges, a read-only root and this network', () => {
    expect(args).to.include.members([
      '--cap-drop=all',
      '--security-opt=no-new-privileges',
      '--read-only',
      '--network=host',
      '--pull=never',
    ]);
    expect(runArguments(podman, { ...container, readOnly: false })).not.to.include('--read-only');
  });

  it('bounds memory without swap, processors, processes and open files', () => {
    expect(after(args, '--memory')).to.eql(['512m']);
    expect(after(args, '--memory-swap')).to.eql(['512m']);
    expect(after(args, '--cpus')).to.eql(['1.5']);
    expect(after(args, '--pids-limit')).to.eql(['512']);
    expect(after(args, '--ulimit')).to.eql(['nofile=4096:4096', 'nproc=4096:4096']);
  });

  it('names no limit that the engine cannot enforce', () => {
    const without = runArguments({ ...podman, enforces: { memory: false, cpus: false } }, container);
    for (const limit of ['--memory', '--memory-swap', '--pids-limit', '--cpus']) expect(without).not.to.include(limit);
  });

  it('ends with the image and its command, or replaces the entry point by a program', () => {
    expect(args.slice(-1)).to.eql(['sha256:abc']);
    expect(runArguments(podman, { ...container, command: ['serve', '-v'] }).slice(-3)).to.eql([
      'sha256:abc',
      'serve',
      '-v',
    ]);
    const program = runArguments(podman, { ...container, program: ['node', 'migrate.js'] });
    expect(program.slice(-4)).to.eql(['--entrypoint', 'node', 'sha256:abc', 'migrate.js']);
  });

  it('mounts a path with a comma or a quote in it', () => {
    const mounts = [{ source: '/a,b/"c"', target: '/d', writable: true }];
    expect(after(runArguments(podman, { ...container, mounts }), '--mount')).to.eql([
      'type=bind,"source=/a,b/""c""",target=/d',
    ]);
    expect(after(args, '--mount')).to.eql(['type=bind,source=/env/ca.pem,target=/env/ca.pem,readonly']);
  });

  it('has no option that only podman knows where docker runs it', () => {
    const docker = runArguments({ ...podman, name: 'docker' }, container);
    expect(args.filter((one) => !docker.includes(one))).to.eql(['--http-proxy=false']);
    expect(runArguments(podman, { ...container, runtime: 'runc' })).to.include('runc');
  });
});

describe('commands of a container engine', () => {
  const build = {
    dockerfile: '/p/Dockerfile',
    context: '/p',
    args: { A: 'b c' },
    platform: 'linux/amd64',
    idFile: '/t/id',
  };

  it('build from a file, with arguments, a target and a runtime', () => {
    expect(buildArguments({ ...build, target: 'production', runtime: 'runc' })).to.eql(
      '--runtime runc build --platform linux/amd64 --file /p/Dockerfile --iidfile /t/id --target production --build-arg'
        .split(' ')
        .concat('A=b c', '/p'),
    );
  });

  it('trust a registry on loopback without a certificate, and no other', () => {
    expect(pullArguments('podman', 'localhost:5000/a')).to.include('--tls-verify=false');
    for (const one of ['registry.example.com/a', 'localhost.example.com/a'])
      expect(pullArguments('podman', one)).not.to.include('--tls-verify=false');
    expect(pushArguments('docker', '127.0.0.1:5000/a:1', '/t/digest')).to.eql(['push', '127.0.0.1:5000/a:1']);
  });

  it('remove what may not be there, and find containers by labels', () => {
    expect(removeArguments('podman', ['one'])).to.eql(['rm', '--force', '--time', '0', '--ignore', 'one']);
    expect(removeArguments('docker', ['one'])).to.eql(['rm', '--force', 'one']);
    expect(listArguments({ a: 'b' }).slice(-2)).to.eql(['--filter', 'label=a=b']);
  });
});
