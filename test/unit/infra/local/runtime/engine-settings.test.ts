import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { localEngineSettings, passphraseFile } from '../../../../../infra/local/runtime/engine-settings.ts';
import { eachWithOwnHome } from '../../../../lib/own-home.ts';

describe('passphrase of the local engine', () => {
  eachWithOwnHome();

  it("is made once, and is its owner's alone", () => {
    localEngineSettings();
    const made = readFileSync(passphraseFile(), 'utf8');
    expect(made).to.match(/^[\w-]{43}\n$/);
    expect(statSync(passphraseFile()).mode & 0o777).to.equal(0o600);
    localEngineSettings();
    expect(readFileSync(passphraseFile(), 'utf8')).to.equal(made);
  });

  for (const [what, content] of Object.entries({ empty: '', zeros: '\0\0\0' }))
    it(`is refused where its file is ${what}, and stays as it is`, () => {
      localEngineSettings();
      writeFileSync(passphraseFile(), content);
      expect(() => localEngineSettings()).to.throw('is empty: the state cannot be decrypted without it');
      expect(readFileSync(passphraseFile(), 'utf8')).to.equal(content);
    });
});
