import { writeReport } from './write.ts';

/** The program that `write-in-child.ts` starts: writes the report of the release in the given directory. */
const [directory] = process.argv.slice(2);
if (directory === undefined) throw new Error('usage: main.ts <directory of a release>');
writeReport(directory);
