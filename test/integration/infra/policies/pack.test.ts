import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect } from 'chai';
import { packageRoot } from '../../../../infra/lib/paths.ts';

interface Diagnostic {
  getPolicyname(): string;
  getMessage(): string;
}
type Reply = { getDiagnosticsList(): Diagnostic[]; getPoliciesList(): { getName(): string }[]; getName(): string };
type Call = (request: unknown, done: (error: Error | null, reply: Reply) => void) => void;
type Client = Record<'analyze' | 'analyzeStack' | 'getAnalyzerInfo', Call> & { close(): void };
interface Message {
  setType(type: string): void;
  setUrn(urn: string): void;
  setName(name: string): void;
  setProperties(properties: unknown): void;
  setOptions(options: Message): void;
  setResourcesList(resources: Message[]): void;
}

const load = createRequire(import.meta.url);
const grpc = load('@grpc/grpc-js') as { credentials: { createInsecure(): unknown } };
const { AnalyzerClient } = load('@pulumi/pulumi/proto/analyzer_grpc_pb.js') as {
  AnalyzerClient: new (address: string, credentials: unknown) => Client;
};
const messages = load('@pulumi/pulumi/proto/analyzer_pb.js') as Record<string, new () => Message>;
const { Struct } = load('google-protobuf/google/protobuf/struct_pb.js') as {
  Struct: { fromJavaScript(value: object): unknown };
};
const { Empty } = load('google-protobuf/google/protobuf/empty_pb.js') as { Empty: new () => unknown };

/** The pack as `pulumi preview --policy-pack infra/policies` starts it, asked in the engine's own protocol. */
describe('policy pack', () => {
  let server: ChildProcess;
  let client: Client;

  before(async () => {
    const runner = join(packageRoot, 'node_modules', '@pulumi', 'pulumi', 'cmd', 'run-policy-pack');
    const cwd = join(packageRoot, 'infra', 'policies');
    server = spawn(process.execPath, [runner, '127.0.0.1:0', '.'], { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
    const [port] = (await once(createInterface({ input: server.stdout! }), 'line')) as [string];
    client = new AnalyzerClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  });

  after(async () => {
    client?.close();
    if (server === undefined || server.exitCode !== null) return;
    const exit = once(server, 'exit');
    server.kill();
    await exit;
  });

  const ask = (call: keyof Omit<Client, 'close'>, request: unknown): Promise<Reply> =>
    new Promise((resolve, reject) => {
      client[call](request, (error, reply) => (error === null ? resolve(reply) : reject(error)));
    });

  const resource = (kind: string, type: string, name: string, props: object): Message => {
    const request = new messages[kind]!();
    request.setType(type);
    request.setName(name);
    request.setUrn(`urn:pulumi:production-blue::greenlight::${type}::${name}`);
    request.setProperties(Struct.fromJavaScript(props));
    request.setOptions(new messages['AnalyzerResourceOptions']!());
    return request;
  };

  const said = (reply: Reply): string[] =>
    reply.getDiagnosticsList().map((found) => `${found.getPolicyname()}: ${found.getMessage()}`);

  it('names its rules', async () => {
    const info = await ask('getAnalyzerInfo', new Empty());
    expect(info.getName()).to.equal('greenlight');
    const names = info.getPoliciesList().map((policy) => policy.getName());
    expect(names).to.include.members(['encrypted-in-transit', 'least-privilege', 'buckets-not-public']);
  });

  it('finds what is wrong with one resource, before it is made', async () => {
    const type = 'aws:rds/instance:Instance';
    const reply = await ask('analyze', resource('AnalyzeRequest', type, 'db', { publiclyAccessible: true }));
    expect(said(reply).join('\n')).to.contain('not-public').and.to.contain('it has a public address');
  });

  it('finds what is wrong with a stack as a whole', async () => {
    const request = new messages['AnalyzeStackRequest']!();
    request.setResourcesList([resource('AnalyzerResource', 'aws:s3/bucket:Bucket', 'open', {})]);
    const reply = await ask('analyzeStack', request);
    expect(said(reply).join('\n')).to.contain('buckets-not-public').and.to.contain('open does not set blockPublicAcls');
  });

  it('has nothing to say about what is right', async () => {
    const tags = { owner: 'x', environment: 'production', colour: 'blue', release: '1' };
    const props = { name: '/x', retentionInDays: 90, kmsKeyId: 'arn:key', tags };
    const reply = await ask('analyze', resource('AnalyzeRequest', 'aws:cloudwatch/logGroup:LogGroup', 'x', props));
    expect(said(reply)).to.deep.equal([]);
  });
});
