import { readFile } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import type { FunctionArgs } from '@pulumi/aws/lambda/function.js';
import type { PermissionArgs } from '@pulumi/aws/lambda/permission.js';
import type { Unwrap } from '@pulumi/pulumi';
import { resource, type Context, type Table } from '../../handler.ts';

const base = '/2015-03-31/functions';
const call = ({ clients }: Context, method: string, path: string, input?: Record<string, unknown>) =>
  clients.rest('lambda', method, `${base}${path}`, input);

type Inputs = Unwrap<FunctionArgs>;

const settings = (inputs: Inputs) => ({
  Role: inputs.role,
  Runtime: inputs.runtime,
  Handler: inputs.handler,
  Timeout: inputs.timeout,
  MemorySize: inputs.memorySize,
  Environment: inputs.environment && { Variables: inputs.environment.variables },
  LoggingConfig: inputs.loggingConfig && {
    LogFormat: inputs.loggingConfig.logFormat,
    LogGroup: inputs.loggingConfig.logGroup,
  },
});

const lambda = resource<FunctionArgs>({
  autoName: { property: 'name', maxLength: 64 },
  replaces: ['name', 'architectures'],
  async create(inputs, context) {
    const made = await call(context, 'POST', '', {
      FunctionName: inputs.name,
      ...settings(inputs),
      Architectures: inputs.architectures,
      Code: { ZipFile: (await zipOf(inputs.code)).toString('base64') },
      Tags: inputs.tags,
    });
    return { id: inputs.name as string, outputs: { arn: made['FunctionArn'] } };
  },
  async read(id, _state, context) {
    const { Configuration } = await call(context, 'GET', `/${id}`);
    const found = Configuration as Record<string, unknown>;
    return {
      arn: found['FunctionArn'],
      handler: found['Handler'],
      timeout: found['Timeout'],
      memorySize: found['MemorySize'],
    };
  },
  async update({ id, inputs, changed }, context) {
    if (changed('code'))
      await call(context, 'PUT', `/${id}/code`, { ZipFile: (await zipOf(inputs.code)).toString('base64') });
    await call(context, 'PUT', `/${id}/configuration`, settings(inputs));
  },
  async delete(id, _state, context) {
    await call(context, 'DELETE', `/${id}`);
  },
});

const permission = resource<PermissionArgs>({
  replaces: 'all',
  async create(inputs, context) {
    const statement = inputs.statementId ?? `pulumi-${context.logicalName}`;
    await call(context, 'POST', `/${inputs.function as string}/policy`, {
      StatementId: statement,
      Action: inputs.action,
      Principal: inputs.principal,
      SourceArn: inputs.sourceArn,
    });
    return { id: statement, outputs: { statementId: statement } };
  },
  async delete(id, state, context) {
    await call(context, 'DELETE', `/${state.function as string}/policy/${id}`);
  },
});

/** The engine's form of an archive of files. */
interface Archive {
  assets: Record<string, { path?: string; text?: string }>;
}

/** A zip without compression, which is enough for Lambda. */
async function zipOf(code: unknown): Promise<Buffer> {
  const { assets } = code as Archive;
  const files = Object.entries(assets ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  if (files.length === 0) throw new Error('the stand-in takes the code of a function as an archive of files only');
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, { path, text }] of files) {
    const content = path === undefined ? Buffer.from(text ?? '') : await readFile(path);
    const common = Buffer.alloc(26);
    // Version 2.0, no flags, stored, 1980-01-01.
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(0x21, 8);
    common.writeUInt32LE(crc32(content), 10);
    common.writeUInt32LE(content.length, 14);
    common.writeUInt32LE(content.length, 18);
    common.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, Buffer.from(name), content]);
    // Comment, disk and attributes: a plain file that everybody may read.
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE((0o100644 << 16) >>> 0, 6);
    tail.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x03'), common, tail, Buffer.from(name)]));
    parts.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(files.length, 4);
  end.writeUInt16LE(files.length, 6);
  end.writeUInt32LE(central.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...parts, central, Buffer.from('PK\x05\x06'), end]);
}

export const functions: Table = {
  'aws:lambda/function:Function': lambda,
  'aws:lambda/permission:Permission': permission,
};
