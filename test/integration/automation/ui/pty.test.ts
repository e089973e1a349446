import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const program = `
import { printError } from './automation/ui/error.ts';
import { OperationError } from './infra/lib/errors.ts';
const found = 'the bank answered nothing for longer than anybody waits';
printError(new OperationError('asking the bank', found, 'ask again'), process.stderr, {});
process.stdout.write('columns ' + process.stderr.columns);
`;

describe('messages in a pseudo-terminal whose size nobody has set', () => {
  it('are not broken after every letter', () => {
    // Python's pseudo-terminals have 0 columns.
    const spawn = 'import pty, sys; pty.spawn(sys.argv[1:])';
    const node = [process.execPath, '--input-type=module-typescript', '-e', program];
    const cwd = join(import.meta.dirname, '../../../..');
    const said = execFileSync('python3', ['-c', spawn, ...node], { cwd, encoding: 'utf8' });
    expect(said).to.include('columns 0');
    expect(said).to.include('the bank answered nothing for longer than anybody waits');
  });
});
