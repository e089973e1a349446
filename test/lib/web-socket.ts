import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

/** The server's side of a WebSocket (RFC 6455), as far as tests need it: whole text messages, and the closing handshake. */
export interface ServerSocket {
  send(text: string): void;
  /** Sends a close frame and ends the connection. */
  close(code: number): void;
}

export interface Listener {
  message(text: string, socket: ServerSocket): void;
  /** Once, however it ended. */
  closed?(): void;
}

const frame = (opcode: number, payload: Buffer): Buffer => {
  const long = payload.length > 125;
  const head = Buffer.alloc(long ? 4 : 2);
  head[0] = 0x80 | opcode;
  head[1] = long ? 126 : payload.length;
  if (long) head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
};

/** The first frame of `data`, unmasked, and what follows. Undefined: it is not whole yet. */
function first(data: Buffer): { opcode: number; payload: Buffer; rest: Buffer } | undefined {
  if (data.length < 2) return undefined;
  const short = (data[1] as number) & 0x7f;
  const at = short === 126 ? 4 : 2;
  if (data.length < at) return undefined;
  const length = short === 126 ? data.readUInt16BE(2) : short;
  const end = at + 4 + length;
  if (data.length < end) return undefined;
  const mask = data.subarray(at, at + 4);
  const payload = Buffer.from(data.subarray(at + 4, end).map((byte, i) => byte ^ (mask[i % 4] as number)));
  return { opcode: (data[0] as number) & 0x0f, payload, rest: data.subarray(end) };
}

/** Answers an upgrade with 101, and calls the listener for each text message. For `server.on('upgrade')`. */
export function acceptSocket(request: IncomingMessage, connection: Duplex, listener: Listener): ServerSocket {
  const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const accept = createHash('sha1').update(key).digest('base64');
  connection.write(
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
  );
  const socket: ServerSocket = {
    send: (text) => void connection.write(frame(1, Buffer.from(text))),
    close(code) {
      const payload = Buffer.alloc(2);
      payload.writeUInt16BE(code);
      connection.end(frame(8, payload));
    },
  };
  let data = Buffer.alloc(0);
  connection.on('data', (part: Buffer) => {
    data = Buffer.concat([data, part]);
    for (let next = first(data); next !== undefined; next = first(data)) {
      data = Buffer.from(next.rest);
      if (next.opcode === 1) listener.message(next.payload.toString(), socket);
      if (next.opcode === 8) connection.end(frame(8, next.payload));
    }
  });
  connection.on('error', () => connection.destroy());
  connection.on('close', () => listener.closed?.());
  return socket;
}
