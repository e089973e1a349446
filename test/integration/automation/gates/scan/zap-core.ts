import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';

const poms = join(import.meta.dirname, 'fixtures', 'zap-core');

/** Libraries that ZAP's network add-on loads by its own class loader; the core must not have them as well. */
const ofAddOn = /^(bc|brotli|native-|http|service-|slf4j)/;
/** Brought by the core already. */
const ofCore = /^(log4j|commons-(codec|io|csv))/;
const addOn = /^(network|commonlib)-/;

/**
 * Puts a real ZAP together from Maven Central: its core, without any scan rule. Resolves to its launcher, or to
 * undefined where Java, Maven or the packages cannot be had.
 */
export async function assembleZapCore(directory: string): Promise<string | undefined> {
  const [core, parts, plugins] = ['lib', 'parts', 'plugin'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  try {
    for (const [pom, output] of [
      ['core', core],
      ['add-ons', parts],
    ]) {
      await execa(
        'mvn',
        ['-q', '-B', '-f', join(poms, `${pom}.pom.xml`), 'dependency:copy-dependencies', `-DoutputDirectory=${output}`],
        {
          timeout: 180_000,
          stdin: 'ignore',
        },
      );
    }
    await mkdir(plugins);
    for (const file of await readdir(parts)) {
      if (addOn.test(file)) await packAddOn(parts, file, join(plugins, file.replace(/jar$/, 'zap')));
      else if (!ofAddOn.test(file) && !ofCore.test(file)) await copyFile(join(parts, file), join(core, file));
    }
    await writeFile(
      join(directory, 'ZapAddOn.xml'),
      '<zapaddon><name>Call Home</name><version>0.0.1</version><status>release</status><not-before-version>2.17.0</not-before-version></zapaddon>',
    );
    await execa('jar', [
      '--create',
      '--no-manifest',
      '--file',
      join(plugins, 'callhome-0.0.1.zap'),
      '-C',
      directory,
      'ZapAddOn.xml',
    ]);
  } catch (error) {
    if (
      (error as { code?: string }).code === 'ENOENT' ||
      /Could not (find|transfer|resolve)|timed out/i.test(String(error))
    )
      return undefined;
    throw error;
  }
  const launcher = join(directory, 'zap.sh');
  await writeFile(
    launcher,
    `#!/bin/sh\nexec java -Xmx256m -Djava.awt.headless=true -cp '${core}/*' org.zaproxy.zap.ZAP -installdir '${directory}' "$@"\n`,
    { mode: 0o755 },
  );
  return launcher;
}

/** An add-on as ZAP installs it: its jar with the libraries that its manifest names inside. */
async function packAddOn(parts: string, file: string, target: string): Promise<void> {
  await copyFile(join(parts, file), target);
  const work = join(parts, `${file}.d`);
  await mkdir(join(work, 'libs'), { recursive: true });
  await execa('jar', ['--extract', '--file', target, 'ZapAddOn.xml'], { cwd: work });
  const manifest = await readFile(join(work, 'ZapAddOn.xml'), 'utf8');
  const libraries = [...manifest.matchAll(/<lib>libs\/(.*?)<\/lib>/g)].map(([, name]) => name ?? '');
  for (const name of libraries) await copyFile(join(parts, name), join(work, 'libs', name));
  if (libraries.length > 0) await execa('jar', ['--update', '--file', target, '-C', work, 'libs']);
}
