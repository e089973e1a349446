import { preconditions, type Finding } from '../../automation/data/publication/preconditions.ts';
import type { Side } from '../../automation/data/link.ts';
import { withClient } from '../../automation/data/connect.ts';

/** A refusal, and the statements of its cure that its reader ran. */
export interface Cured {
  found: string;
  ran: string;
}

/** Between two ways that a cure offers: `; or, if it only reads: `. */
const otherwise = /[,;]? or(?:, [^:]*)?: /;
/** Where one of them begins to be SQL. A way without needs thought of its reader, such as a new key. */
const statement = /\b(?:ALTER|GRANT|REVOKE|DROP|CREATE|SET ROLE|COMMIT PREPARED|ROLLBACK PREPARED) [\s\S]*$/;
/** The first way of a cure that is SQL; undefined where none is. */
export const statementsOf = (cure: string): string | undefined =>
  cure.split(otherwise).flatMap((way) => statement.exec(way)?.[0] ?? [])[0];

/**
 * Does what the preflight says until it says nothing: as an administrator who copies the statements of each cure. Rejects where a
 * cure has no statement, fails, or does not cure.
 */
export async function cureAll({ access }: Side, physical: boolean): Promise<Cured[]> {
  const cured: Cured[] = [];
  const errors = async (): Promise<Finding[]> =>
    (await preconditions(access, undefined, { physical, openTransactionSeconds: 600 })).filter(
      ({ severity }) => severity === 'error',
    );
  for (let found = await errors(); found.length > 0; found = await errors()) {
    const again = found.find((one) => cured.some(({ found: before }) => before === one.found));
    if (again !== undefined) throw new Error(`the cure does not cure: ${again.found}; ${again.cure}`);
    for (const { found: text, cure } of found) {
      const ran = statementsOf(cure);
      if (ran === undefined) throw new Error(`refused without a statement that cures it: ${text}; ${cure}`);
      await withClient(access, 'admin', (client) => client.query(ran)).catch((error: Error) => {
        throw new Error(`the cure fails: ${text}; ${ran}: ${error.message}`);
      });
      cured.push({ found: text, ran });
    }
  }
  return cured;
}
