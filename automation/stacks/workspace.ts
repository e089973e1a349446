import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  LocalWorkspace,
  type ProjectSettings,
  PulumiCommand,
  Stack,
  type StackSettings,
} from '@pulumi/pulumi/automation/index.js';
import {
  awsVariables,
  childEnvironment,
  ownVariables,
  proxySettings,
  setAside,
  withoutTheShell,
} from '../../infra/lib/child-environment.ts';
import { home } from '../../infra/lib/paths.ts';
import type { EngineSettings } from '../../infra/platform/engine.ts';
import { projectName } from '../../infra/stacks.ts';
import { encryptionOf, stackFiles } from './state.ts';

/** Files of the command line itself (one per call) that are kept for the case that somebody has to look. */
const logsKept = 50;

/** Of a stack: values by key. The engine encrypts the secret ones. */
export interface Configuration {
  plain: Record<string, string>;
  secret: Record<string, string>;
}

export const engineDirectory = (): string => join(home(), 'engine');

/** A workspace of the Automation API: its project and stack settings are in `.greenlight/engine/`, not among the sources. */
export class EngineWorkspace {
  readonly #settings: EngineSettings;
  #workspace: Promise<LocalWorkspace> | undefined;
  readonly #stacks = new Map<string, Stack>();

  constructor(settings: EngineSettings) {
    this.#settings = settings;
  }

  /** The stack, made if it is not there, with the configuration that it is to have from now on. */
  async stack(name: string, configuration?: Configuration): Promise<Stack> {
    this.#workspace ??= this.#open();
    const workspace = await this.#workspace;
    const known = this.#stacks.get(name);
    if (known === undefined) await this.#adoptEncryption(name, workspace);
    const stack = known ?? (await this.#find(name, workspace));
    this.#stacks.set(name, stack);
    if (configuration !== undefined) {
      const settings = await settingsOf(workspace, name);
      await workspace.saveStackSettings(name, { ...settings, config: configuration.plain });
      for (const [key, value] of Object.entries(configuration.secret))
        await stack.setConfig(key, { value, secret: true });
    }
    return stack;
  }

  /** Deletes all that is recorded about a stack. From the files: the command line does it only where it can decrypt them. */
  async forget(name: string): Promise<void> {
    this.#stacks.delete(name);
    for (const path of await stackFiles(this.#settings, name)) await this.#settings.state.remove(path);
    await rm(join(engineDirectory(), `Pulumi.${name}.yaml`), { force: true });
  }

  async #open(): Promise<LocalWorkspace> {
    const pulumiHome = join(engineDirectory(), 'pulumi');
    mkdirSync(pulumiHome, { recursive: true, mode: 0o700 });
    prune(join(pulumiHome, 'logs'));
    // A passphrase of the user's own shell would win over the file, and any option of the command line can be set there too.
    setAside('PULUMI_');
    // Programs run in this process and talk to the engine at loopback; the library would ask a proxy to do that.
    const proxy = proxySettings();
    Object.assign(process.env, proxy);
    const { backendUrl, secretsProvider, plugins, env, pulumiCommand } = this.#settings;
    const projectSettings: ProjectSettings & { plugins: object } = {
      name: projectName,
      runtime: 'nodejs',
      backend: { url: backendUrl },
      plugins: { providers: plugins },
    };
    return LocalWorkspace.create({
      workDir: engineDirectory(),
      pulumiHome,
      pulumiCommand: await PulumiCommand.get({ root: dirname(dirname(pulumiCommand)) }),
      secretsProvider,
      projectSettings,
      envVars: engineVariables({ ...proxy, ...env, PULUMI_BACKEND_URL: backendUrl }),
    });
  }

  /**
   * A stack that another machine made: the file with its settings is there. Without this the engine would encrypt anew, by
   * a passphrase. The state wins over a file that is left from an earlier stack of this name.
   */
  async #adoptEncryption(name: string, workspace: LocalWorkspace): Promise<void> {
    const encryption = await encryptionOf(this.#settings, name);
    if (encryption === undefined) return;
    const settings = await settingsOf(workspace, name);
    if (settings.encryptedKey === encryption.encryptedKey && settings.secretsProvider === encryption.url) return;
    const { config } = settings;
    const { url: secretsProvider, encryptedKey } = encryption;
    await workspace.saveStackSettings(name, { ...(config && { config }), secretsProvider, encryptedKey });
  }

  /** `up` asks the command line for outputs and summary, three times 0.3 s: the state has them at once. */
  async #find(name: string, workspace: LocalWorkspace): Promise<Stack> {
    const stack = await Stack.createOrSelect(name, workspace);
    return Object.assign(stack, { outputs: () => Promise.resolve({}), info: () => Promise.resolve(undefined) });
  }
}

/** What the engine and its plug-ins see: no setting of Pulumi's that is in the shell, and of the rest what they need. */
function engineVariables(own: Record<string, string>): Record<string, string> {
  const fixed = { PULUMI_SKIP_UPDATE_CHECK: 'true', PULUMI_DISABLE_CI_DETECTION: 'true' };
  const list = childEnvironment({ ...fixed, ...own }, [...awsVariables, ...ownVariables]);
  // The library's type says that it cannot be undefined; it hands the value on as it is.
  return withoutTheShell(list) as Record<string, string>;
}

const settingsOf = (workspace: LocalWorkspace, name: string): Promise<StackSettings> =>
  workspace.stackSettings(name).catch((): StackSettings => ({}));

function prune(directory: string): void {
  let files: string[];
  try {
    files = readdirSync(directory).sort((a, b) => (stamp(a) < stamp(b) ? 1 : -1));
  } catch {
    return;
  }
  for (const file of files.slice(logsKept)) rmSync(join(directory, file), { force: true });
}

/** The time in a log file's name. */
const stamp = (file: string): string => /\d{8}T\d{6}/.exec(file)?.[0] ?? '';
