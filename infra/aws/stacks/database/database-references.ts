import * as pulumi from '@pulumi/pulumi';
import { databaseFields, type DatabaseAccess, type DatabaseFields } from '../../../application/database-url.ts';

/** Text that stands for a value that is known once the database exists. */
const reference = (name: keyof DatabaseFields): string => `database~${name}~`;

const names: (keyof DatabaseFields)[] = ['url', 'host', 'port', 'name', 'user', 'password', 'caFile'];

/** The fields of a service's database, all as references. */
export const databaseReferences = Object.fromEntries(
  names.map((name) => [name, reference(name)]),
) as unknown as DatabaseFields;

/** A text with the references replaced. Secret where the password is. */
export const resolved = (text: string, login: pulumi.Input<DatabaseAccess>): pulumi.Input<string> =>
  text.includes('database~')
    ? pulumi.output(login).apply((access) => {
        const fields = databaseFields(access, 'app');
        return names.reduce((all, name) => all.replaceAll(reference(name), () => fields[name]), text);
      })
    : text;
