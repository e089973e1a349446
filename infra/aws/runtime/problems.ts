import { execa } from 'execa';
import { dockerEnvironment } from '../../child-environment.ts';
import { findTool } from '../../tools.ts';
import type { AwsSettings } from '../settings.ts';
import { checkAccount } from './account.ts';
import type { Account } from './checks.ts';

const askMs = 20_000;

/** What is missing or wrong before anything is changed, a sentence each: the account, and what makes images here. */
export async function awsProblems({ clients, settings }: Account & { settings: AwsSettings }): Promise<string[]> {
  const found = await Promise.all([checkAccount({ clients, settings }), checkDocker(settings.tasks.architecture)]);
  return found.flat();
}

/** Docker makes the images: its program, its engine, buildx, and the platform that the tasks run on. */
export async function checkDocker(architecture: AwsSettings['tasks']['architecture']): Promise<string[]> {
  const docker = findTool('docker');
  if (docker === undefined)
    return ['docker is not installed, and it makes the images: see https://docs.docker.com/engine/install/'];
  const ask = (...args: string[]) =>
    execa(docker, args, { ...dockerEnvironment(), reject: false, timeout: askMs, stdin: 'ignore' });

  const engine = await ask('version', '--format', '{{.Server.Version}}');
  if (engine.exitCode !== 0)
    return [`docker has no engine to build with (${lastLine(engine.stderr)}): start it, or set DOCKER_HOST`];
  const buildx = await ask('buildx', 'version');
  if (buildx.exitCode !== 0)
    return ['docker has no buildx, and it builds the images: see https://docs.docker.com/build/install-buildx/'];

  const platform = architecture === 'ARM64' ? 'linux/arm64' : 'linux/amd64';
  const platforms = platformsOf((await ask('buildx', 'inspect')).stdout);
  // A builder that has not run yet names none: then the build itself will say.
  if (platforms.length === 0 || platforms.includes(platform)) return [];
  return [
    `docker builds for ${platforms.join(', ')} here, and the tasks are ${platform} (aws.tasks.architecture is ${architecture}): ` +
      `install its emulation (docker run --privileged --rm tonistiigi/binfmt --install ${platform.slice('linux/'.length)}), or change aws.tasks.architecture`,
  ];
}

/** From what `docker buildx inspect` says: `Platforms: linux/amd64*, linux/amd64/v2, …`. */
export const platformsOf = (text: string): string[] => {
  const lines = [...text.matchAll(/^Platforms:\s*(.+)$/gm)].map((match) => match[1] ?? '');
  return [...new Set(lines.flatMap((line) => line.split(',').map((name) => name.trim().replace(/\*$/, ''))))];
};

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';
