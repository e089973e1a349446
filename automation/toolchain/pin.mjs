// `node automation/toolchain/pin.mjs` writes the digests from the publishers' checksums files into tools.json. Run it
// after a version was changed and its old digests were removed, and compare the result with a second source.
import { readFileSync, writeFileSync } from 'node:fs';
import { archiveOf, publishedDigest } from './archive.mjs';
import { loadTools } from './inspect.mjs';

const file = new URL('tools.json', import.meta.url);
let text = readFileSync(file, 'utf8');
for (const { name, source } of loadTools().filter((tool) => tool.source.checksums !== undefined)) {
  for (const platform of Object.keys(source.files)) {
    const archive = archiveOf(source, platform);
    const digest = await publishedDigest(archive);
    if (archive.sha256 === undefined) {
      text = text.replace(`"name": "${archive.name}"`, `"name": "${archive.name}", "sha256": "${digest}"`);
    } else if (archive.sha256 !== digest) {
      throw new Error(
        `${name}, ${platform}: pinned is ${archive.sha256}, but the publisher's checksums file has ${digest}`,
      );
    }
  }
}
writeFileSync(file, text);
