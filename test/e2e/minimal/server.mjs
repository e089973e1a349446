import http from 'node:http';

const { HOST, PORT, GREENLIGHT_VERSION: version } = process.env;
const server = http.createServer((request, response) => {
  if (request.url === '/old') return response.writeHead(302, { location: '/' }).end();
  if (request.url !== '/' && request.url !== '/healthz') return response.writeHead(404).end();
  const security = { 'strict-transport-security': 'max-age=31536000', 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY', 'referrer-policy': 'no-referrer' };
  response.writeHead(200, { 'content-type': 'text/plain', ...security }).end(`version ${version}\n`);
});
server.listen(PORT, HOST);
process.on('SIGTERM', () => server.close());
