/**
 * An HTTP server that speaks OpenAI's API with a model. It listens at once and answers 503 until the model is loaded;
 * `drain` lets accepted requests finish and refuses new ones.
 */
import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import multipart from '@fastify/multipart';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { parseOptions } from '../tasks/options.ts';
import type { Star } from '../tasks/star.ts';
import { TurnQueue } from '../tasks/turn-queue.ts';
import { checkAccess, checkKey, preflight, publicRoutes } from './access.ts';
import { answerChat } from './chat-routes.ts';
import { invalidRequest, queueFull, ServerError, serverErrorOf } from './error.ts';
import { Exchange, type ServerContext, shuttingDown } from './exchange.ts';
import { Metrics } from './metrics.ts';
import { describeModel } from './model-routes.ts';
import { openApiDocument } from './openapi.ts';
import { bytesPerMebibyte, type ResolvedServerOptions, type ServerOptions, serverOptionsSchema } from './options.ts';
import { answerEdit, answerGeneration } from './picture-routes.ts';
import { addStudio } from './studio.ts';
import { addTraining, requireFolder } from './training.ts';

/** A line of the log. */
export interface RequestRecord {
  readonly id: string;
  readonly method: string;
  /** The path as it was asked for, without its query. */
  readonly path: string;
  /** 499 where the client has gone. */
  readonly status: number;
  readonly seconds: number;
}

export interface ServerHooks {
  readonly onRequest?: (record: RequestRecord) => void;
  /** An error whose cause the client does not see. */
  readonly onError?: (error: ServerError) => void;
}

type Answer = (
  context: ServerContext,
  exchange: Exchange,
  asked: FastifyRequest,
  reply: FastifyReply,
) => Promise<unknown>;

/** The routes that ask the model. */
const workRoutes: Readonly<Record<string, Answer>> = {
  '/v1/images/generations': answerGeneration,
  '/v1/images/edits': answerEdit,
  '/v1/chat/completions': answerChat,
};

export class StarServer implements AsyncDisposable {
  /** Resolves when requests are answered; rejects when the model cannot be loaded. */
  readonly ready: Promise<void>;
  readonly #app: FastifyInstance;
  readonly #context: ServerContext;
  readonly #stop = new AbortController();
  #url = '';
  #star: Star | undefined;
  #draining = false;
  /** Requests to the model whose answers are not sent yet. */
  #open = 0;
  #ended: Promise<void> | undefined;

  private constructor(options: ResolvedServerOptions, load: () => Promise<Star>, hooks: ServerHooks) {
    const queue = new TurnQueue(options.queue, (retryAfter) => queueFull(options.queue, retryAfter));
    this.#context = {
      options,
      queue,
      metrics: new Metrics(queue),
      stop: this.#stop.signal,
      created: Math.floor(Date.now() / 1000),
      star: () => this.#loaded(),
      logError: (error) => hooks.onError?.(error),
    };
    this.#app = createApp(options);
    this.#addHooks(hooks);
    this.#addRoutes();
    this.ready = this.#load(load);
    // Whoever waits for it hears of the failure; nobody has to.
    this.ready.catch(() => {});
  }

  /**
   * Starts to listen; loading goes on behind it.
   * @throws TaskError `option_invalid`, and errors of the system when the address cannot be had
   */
  static async listen(options: ServerOptions, load: () => Promise<Star>, hooks: ServerHooks = {}): Promise<StarServer> {
    const resolved = parseOptions(serverOptionsSchema, options, 'serve');
    await requireFolder(resolved.training);
    const server = new StarServer(resolved, load, hooks);
    try {
      await server.#app.listen({ host: resolved.host, port: resolved.port });
      const { address, family, port } = server.#app.server.address() as AddressInfo;
      server.#url = `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
    } catch (error) {
      await server.#end();
      throw error;
    }
    return server;
  }

  /** Where it listens, such as `http://127.0.0.1:8080`. */
  get url(): string {
    return this.#url;
  }

  /** Requests that run or wait. */
  get held(): number {
    return this.#context.queue.running + this.#context.queue.depth;
  }

  /**
   * Refuses new requests, lets accepted ones go on for the drain time, ends those that are left with 503, closes, and frees
   * the model.
   */
  drain(): Promise<void> {
    this.#draining = true;
    this.#ended ??= this.#drain();
    return this.#ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    return this.drain();
  }

  async #drain(): Promise<void> {
    const stop = setTimeout(() => this.#stop.abort(), this.#context.options.drain * 1000);
    let patience = answerGrace;
    // Whoever comes now hears 503 rather than a closed door.
    while (this.#open > 0 && patience > 0) {
      await sleep(pollMs);
      // A client that does not read its answer is not waited for.
      if (this.#stop.signal.aborted && this.held === 0) patience -= pollMs;
    }
    clearTimeout(stop);
    await this.#end();
  }

  async #end(): Promise<void> {
    this.#draining = true;
    const closed = this.#app.close();
    // Connections that are kept alive would hold the server for a minute.
    const left = setTimeout(() => this.#app.server.closeAllConnections(), answerGrace);
    await closed;
    clearTimeout(left);
    await this.ready.catch(() => {});
    await this.#star?.dispose();
  }

  async #load(load: () => Promise<Star>): Promise<void> {
    const star = await load();
    // The programs of the commonest task, so that ready means ready. The others load when they are first asked for.
    await star.model.session('engine');
    await star.model.session('vqDecoder');
    this.#star = star;
  }

  #loaded(): Star {
    if (this.#draining) throw shuttingDown();
    if (this.#star) return this.#star;
    throw new ServerError(503, 'unavailable_error', 'model_loading', 'the model is loading', { retryAfter: 2 });
  }

  #addHooks({ onRequest }: ServerHooks): void {
    const { options, metrics } = this.#context;
    this.#app.addHook('onRequest', async (request, reply) => {
      const started = performance.now();
      reply.header('x-request-id', request.id);
      if (this.#draining) reply.header('connection', 'close');
      reply.raw.once('close', () => {
        const route = request.routeOptions.url ?? 'unknown';
        const outcome = exchanges.get(request)?.outcome;
        const status = outcome?.status ?? (reply.raw.writableFinished ? reply.raw.statusCode : 499);
        const seconds = (performance.now() - started) / 1000;
        metrics.requests.inc({ route, code: status });
        metrics.requestSeconds.observe({ route }, seconds);
        onRequest?.({ id: request.id, method: request.method, path: request.url.split('?')[0]!, status, seconds });
      });
      if (publicRoutes.has(request.routeOptions.url ?? '')) return;
      checkAccess(options, request, reply);
      if (request.method === 'OPTIONS') return preflight(request, reply);
      checkKey(options, request);
    });
    this.#app.setErrorHandler((error, request, reply) => {
      const told = serverErrorOf(error);
      const exchange = exchanges.get(request);
      if (exchange) exchange.outcome ??= told;
      if (told.status === 401 || told.status === 403) metrics.rejected.inc({ reason: told.code });
      if (told.status === 500) this.#context.logError(told);
      return reply.code(told.status).headers(told.headers()).send(told.body());
    });
    this.#app.setNotFoundHandler(() => {
      throw new ServerError(404, 'not_found_error', 'route_not_found', 'there is nothing here; see /openapi.json');
    });
  }

  #addRoutes(): void {
    const context = this.#context;
    const app = this.#app;
    app.get('/healthz', async () => ({ status: 'ok' }));
    app.get('/readyz', async () => {
      this.#loaded();
      return { status: 'ok' };
    });
    app.get('/metrics', async (_, reply) => {
      reply.type(context.metrics.registry.contentType);
      return context.metrics.registry.metrics();
    });
    app.get('/openapi.json', async () => openApiDocument());
    app.get('/v1/models', async () => ({ object: 'list', data: [describeModel(context)] }));
    app.get('/v1/models/:id', async (request) => {
      const model = describeModel(context);
      const { id } = request.params as { id: string };
      if (id === model.id) return model;
      throw new ServerError(404, 'not_found_error', 'model_not_found', `the model served is ${model.id}`, {
        param: 'model',
      });
    });
    addTraining(app, context.options.training);
    if (context.options.studio !== false) addStudio(app, context.options.studio);
    for (const [route, answer] of Object.entries(workRoutes)) {
      app.post(route, async (request, reply) => {
        const exchange = new Exchange(context, reply, route);
        this.#open++;
        reply.raw.once('close', () => this.#open--);
        exchanges.set(request, exchange);
        try {
          return await answer(context, exchange, request, reply);
        } catch (error) {
          const told = serverErrorOf(error);
          exchange.outcome ??= told;
          // The error has been told in the stream.
          if (!reply.sent) throw told;
          if (told.status === 500) context.logError(told);
          return reply;
        }
      });
    }
  }
}

/** Milliseconds that clients have to take their answers when the server stops. */
const answerGrace = 1000;
const pollMs = 20;

const exchanges = new WeakMap<FastifyRequest, Exchange>();

function createApp({ maxBody, maxFile }: ResolvedServerOptions): FastifyInstance {
  const app = fastify({
    logger: false,
    bodyLimit: maxBody * bytesPerMebibyte,
    // Seconds that a client may take to send its request; answers may take longer.
    requestTimeout: 120_000,
    http: { headersTimeout: 20_000 },
    genReqId: ({ headers }) => {
      const given = headers['x-request-id'];
      return typeof given === 'string' && /^[\w.-]{1,64}$/.test(given) ? given : `req_${randomUUID()}`;
    },
    requestIdHeader: false,
    routerOptions: { maxParamLength: 512 },
    clientErrorHandler: (_, socket) => {
      if (!socket.writable) {
        socket.destroy();
        return;
      }
      const body = JSON.stringify(invalidRequest('invalid_request', 'this is no HTTP request that can be read').body());
      const head = `HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: ${body.length}`;
      socket.end(`${head}\r\nconnection: close\r\n\r\n${body}`);
    },
  });
  app.removeContentTypeParser('text/plain');
  void app.register(multipart, {
    limits: {
      fileSize: maxFile * bytesPerMebibyte,
      files: 17,
      fields: 40,
      fieldSize: bytesPerMebibyte,
      fieldNameSize: 100,
      headerPairs: 50,
    },
  });
  return app;
}
