import { flushCompileCache } from 'node:module';
import { Metadata, Server, ServerCredentials, status, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import anyMessages from 'google-protobuf/google/protobuf/any_pb.js';
import emptyMessages from 'google-protobuf/google/protobuf/empty_pb.js';
import structMessages, { type JavaScriptValue, type Struct } from 'google-protobuf/google/protobuf/struct_pb.js';
import pluginMessages from '@pulumi/pulumi/proto/plugin_pb.js';
import services from '@pulumi/pulumi/proto/provider_grpc_pb.js';
import type * as requests from '@pulumi/pulumi/proto/provider_pb.js';
import proto from '@pulumi/pulumi/proto/provider_pb.js';
import statusMessages from '@pulumi/pulumi/proto/status_pb.js';

export type Properties = Record<string, unknown>;

/**
 * A provider in the engine's terms, without secrets: the engine removes the marks before a call and sets them again.
 */
export interface ResourceProvider {
  version: string;
  name: string;
  configure(args: Properties): Promise<void>;
  check(urn: string, olds: Properties, news: Properties, seed: Uint8Array): { inputs: Properties; failures: string[] };
  diff(urn: string, state: Properties, oldInputs: Properties, news: Properties, ignored: string[]): Difference;
  create(urn: string, inputs: Properties): Promise<{ id: string; state: Properties }>;
  /** Resolves to undefined if the resource does not exist. */
  read(id: string, urn: string, state: Properties): Promise<Properties | undefined>;
  update(
    id: string,
    urn: string,
    state: Properties,
    oldInputs: Properties,
    news: Properties,
    ignored: string[],
  ): Promise<Properties>;
  delete(id: string, urn: string, state: Properties): Promise<void>;
}

export interface Difference {
  changed: string[];
  replaces: string[];
  deleteBeforeReplace: boolean;
}

/** The resource was created but is not in the desired state. The engine records it, and updates it in the next run. */
export class Unready extends Error {
  readonly id: string;
  readonly state: Properties;

  constructor(id: string, state: Properties, reason: string, options?: ErrorOptions) {
    super(reason, options);
    this.id = id;
    this.state = state;
  }
}

/**
 * Serves a provider to the engine. Pulumi's own server for Node.js does not pass on the configuration (region, allowed
 * accounts), the old inputs and the ignored changes, all of which a stand-in of a real plug-in needs.
 */
export async function serve(provider: ResourceProvider): Promise<void> {
  const server = new Server({ 'grpc.max_receive_message_length': 400 * 2 ** 20 });
  server.addService(services.ResourceProviderService, methods(provider));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  // The engine kills plug-ins, so the compile cache is written now instead of at the end.
  flushCompileCache();
  // The engine reads the port from the first line.
  process.stdout.write(`${port}\n`);
}

function methods(provider: ResourceProvider) {
  return {
    attach: unary(() => new emptyMessages.Empty()),
    cancel: unary(() => new emptyMessages.Empty()),
    getPluginInfo: unary(() => {
      const info = new pluginMessages.PluginInfo();
      info.setVersion(provider.version);
      return info;
    }),
    getSchema: unary(() => {
      const response = new proto.GetSchemaResponse();
      response.setSchema(JSON.stringify({ name: provider.name, version: provider.version }));
      return response;
    }),
    checkConfig: unary<requests.CheckRequest>((request) => {
      const response = new proto.CheckResponse();
      response.setInputs(request.getNews());
      return response;
    }),
    diffConfig: unary<requests.DiffRequest>(() => new proto.DiffResponse()),
    configure: unary<requests.ConfigureRequest>(async (request) => {
      await provider.configure(plain(request.getArgs()));
      return new proto.ConfigureResponse();
    }),
    check: unary<requests.CheckRequest>((request) => {
      const { inputs, failures } = provider.check(
        request.getUrn(),
        plain(request.getOlds()),
        plain(request.getNews()),
        request.getRandomseed_asU8(),
      );
      const response = new proto.CheckResponse();
      response.setInputs(struct(inputs));
      response.setFailuresList(
        failures.map((reason) => {
          const failure = new proto.CheckFailure();
          failure.setReason(reason);
          return failure;
        }),
      );
      return response;
    }),
    diff: unary<requests.DiffRequest>((request) => {
      const { changed, replaces, deleteBeforeReplace } = provider.diff(
        request.getUrn(),
        plain(request.getOlds()),
        plain(request.getOldInputs()),
        plain(request.getNews()),
        request.getIgnorechangesList(),
      );
      const { DIFF_SOME, DIFF_NONE } = proto.DiffResponse.DiffChanges;
      const response = new proto.DiffResponse();
      response.setChanges(changed.length > 0 ? DIFF_SOME : DIFF_NONE);
      response.setDiffsList(changed);
      response.setReplacesList(replaces);
      response.setDeletebeforereplace(deleteBeforeReplace);
      return response;
    }),
    create: unary<requests.CreateRequest>(async (request) => {
      const { id, state } = await provider.create(request.getUrn(), plain(request.getProperties()));
      const response = new proto.CreateResponse();
      response.setId(id);
      response.setProperties(struct(state));
      return response;
    }),
    read: unary<requests.ReadRequest>(async (request) => {
      const state = await provider.read(request.getId(), request.getUrn(), plain(request.getProperties()));
      const response = new proto.ReadResponse();
      if (state === undefined) return response;
      response.setId(request.getId());
      response.setProperties(struct(state));
      response.setInputs(request.getInputs());
      return response;
    }),
    update: unary<requests.UpdateRequest>(async (request) => {
      const [id, urn] = [request.getId(), request.getUrn()];
      const [olds, oldInputs, news] = [request.getOlds(), request.getOldInputs(), request.getNews()].map(plain);
      const ignored = request.getIgnorechangesList();
      const state = await provider.update(
        id,
        urn,
        olds as Properties,
        oldInputs as Properties,
        news as Properties,
        ignored,
      );
      const response = new proto.UpdateResponse();
      response.setProperties(struct(state));
      return response;
    }),
    delete: unary<requests.DeleteRequest>(async (request) => {
      await provider.delete(request.getId(), request.getUrn(), plain(request.getProperties()));
      return new emptyMessages.Empty();
    }),
    invoke: unary<requests.InvokeRequest>((request) => {
      throw new Error(`the stand-in of ${provider.name} has no function ${request.getTok()}`);
    }),
  };
}

const unary =
  <Request = unknown>(answer: (request: Request) => unknown) =>
  (call: ServerUnaryCall<Request, unknown>, callback: sendUnaryData<unknown>): void => {
    Promise.resolve(call.request)
      .then(answer)
      .then(
        (response) => callback(null, response),
        (error: unknown) => callback(failure(error)),
      );
  };

function failure(error: unknown) {
  const message = error instanceof Error ? error.message : String(error);
  const metadata = new Metadata();
  if (error instanceof Unready) {
    const detail = new proto.ErrorResourceInitFailed();
    detail.setId(error.id);
    detail.setProperties(struct(error.state));
    detail.setReasonsList([message]);
    const details = new anyMessages.Any();
    details.pack(detail.serializeBinary(), 'pulumirpc.ErrorResourceInitFailed');
    const rich = new statusMessages.Status();
    rich.setCode(status.UNKNOWN);
    rich.setMessage(message);
    rich.addDetails(details);
    metadata.add('grpc-status-details-bin', Buffer.from(rich.serializeBinary()));
  }
  return { code: status.UNKNOWN, details: message, message, metadata };
}

const plain = (value: Struct | undefined): Properties => value?.toJavaScript() ?? {};

/** Also drops undefined values, which the protocol cannot express. */
const struct = (value: Properties): Struct =>
  structMessages.Struct.fromJavaScript(JSON.parse(JSON.stringify(value)) as Record<string, JavaScriptValue>);
