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

/** How many log files of the Pulumi command (one per call) are kept. */
const logsKept = 50;

/** Configuration values of a stack by key. The engine encrypts the secret ones. */
export interface Configuration {
  plain: Record<string, string>;
  secret: Record<string, string>;
}

export const engineDirectory = (): string => join(home(), 'engine');

/** A workspace of the Automation API. Its project and stack settings are in `.greenlight/engine/`. */
export class EngineWorkspace {
  readonly #settings: EngineSettings;
  #workspace: Promise<LocalWorkspace> | undefined;
  readonly #stacks = new Map<string, Stack>();

  constructor(settings: EngineSettings) {
    this.#settings = settings;
  }

  /** The stack, created if missing. `configuration` replaces its stored configuration. */
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

  /**
   * Deletes the state, history and settings of a stack as files. The Pulumi command can do that only if it can decrypt
   * them.
   */
  async forget(name: string): Promise<void> {
    this.#stacks.delete(name);
    for (const path of await stackFiles(this.#settings, name)) await this.#settings.state.remove(path);
    await rm(join(engineDirectory(), `Pulumi.${name}.yaml`), { force: true });
  }

  async #open(): Promise<LocalWorkspace> {
    const pulumiHome = join(engineDirectory(), 'pulumi');
    mkdirSync(pulumiHome, { recursive: true, mode: 0o700 });
    prune(join(pulumiHome, 'logs'));
    // A passphrase in the user's shell would take precedence over the file. PULUMI_ variables can also set any option.
    setAside('PULUMI_');
    // Programs run in this process and talk to the engine on loopback. Without this the library would use the shell's
    // proxy.
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
   * Writes the encryption settings of the state into the local settings file, which a stack made on another machine
   * lacks. Without them the engine would encrypt with a new key. The state also replaces settings of an earlier stack
   * of this name.
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

  /**
   * `up` would call the Pulumi command three times, 0.3 s each, for outputs and summary. They are read from the state
   * instead.
   */
  async #find(name: string, workspace: LocalWorkspace): Promise<Stack> {
    const stack = await Stack.createOrSelect(name, workspace);
    return Object.assign(stack, { outputs: () => Promise.resolve({}), info: () => Promise.resolve(undefined) });
  }
}

/**
 * Environment of the engine and its plug-ins: no PULUMI_ variable of the shell, and of the others only those they need.
 */
function engineVariables(own: Record<string, string>): Record<string, string> {
  const fixed = {
    PULUMI_SKIP_UPDATE_CHECK: 'true',
    PULUMI_DISABLE_CI_DETECTION: 'true',
    // For its plug-ins, which are programs of Greenlight.
    GREENLIGHT_NODE: process.execPath,
  };
  const list = childEnvironment({ ...fixed, ...own }, [...awsVariables, ...ownVariables]);
  // The library's type forbids undefined, but the library passes the values on unchanged.
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
