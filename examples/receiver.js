'use strict';
// A small and complete receiver of callbacks in Node, without dependencies.
//
//     CALLBACK_SECRET=whsec_... node receiver.js 8080 callbacks
//
// It verifies the signature of the raw body, stores each callback once in a folder by its
// webhook-id, answers, and only then processes it. When it starts, it resumes unfinished callbacks.
// It forgets ids once the same callback can no longer come. It listens only on this machine: put an
// HTTPS server in front.

const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');

const MOST_BYTES = 50_000_000; // the largest callback that the service sends

// How long to remember an id: the 60 hours that a batch lives, and a margin. Increase it if batches
// of your service live longer (EXPIRY_HOURS).
const REMEMBERED_HOURS = 60 + 12;
const HOUR = 3_600_000; // milliseconds

// Processes a callback: replace this with your own code. If it throws or the machine goes down, it
// gets the callback again.
function work(callback) {
  console.log(callback.asyncId, callback.results.length, 'results');
}

// The key in a secret, or null if the secret is empty, too short or malformed.
function keyOf(secret) {
  const key = Buffer.from(String(secret).replace(/^whsec_/, ''), 'base64');
  const isWhole = secret === 'whsec_' + key.toString('base64');
  return isWhole && key.length >= 24 && key.length <= 64 ? key : null;
}

// Whether exactly these bytes were signed with the secret in the last five minutes.
// headers: Node's, with names in lower case; body: the raw Buffer
function isGenuine(headers, body, secret) {
  const key = keyOf(secret);
  const id = headers['webhook-id'];
  const sentAt = headers['webhook-timestamp'];
  if (!key || !id || !/^[0-9]{1,12}$/.test(sentAt)) return false;
  if (Math.abs(Date.now() / 1000 - Number(sentAt)) > 300) return false;
  const hmac = crypto.createHmac('sha256', key).update(`${id}.${sentAt}.`).update(body);
  const wanted = Buffer.from('v1,' + hmac.digest('base64'));
  return (headers['webhook-signature'] || '').split(' ').some((one) => {
    const given = Buffer.from(one);
    return given.length === wanted.length && crypto.timingSafeEqual(given, wanted);
  });
}

class Inbox {
  constructor(folder) {
    this.folder = folder;
    fs.mkdirSync(folder, { recursive: true });
  }

  // Stores a callback, completely or not at all, and returns whether it is new.
  put(id, body) {
    if (fs.existsSync(this.file(id, 'done'))) return false;
    const unfinished = this.file(id, crypto.randomUUID());
    fs.writeFileSync(unfinished, body);
    try {
      fs.linkSync(unfinished, this.file(id, 'json'));
      return true;
    } catch (error) {
      if (error.code === 'EEXIST') return false;
      throw error;
    } finally {
      fs.unlinkSync(unfinished);
    }
  }

  workOff(id) {
    try {
      work(JSON.parse(fs.readFileSync(this.file(id, 'json'))));
    } catch (error) {
      return console.error(error);
    }
    const done = this.file(id, 'done');
    fs.renameSync(this.file(id, 'json'), done);
    fs.truncateSync(done);
    fs.utimesSync(done, new Date(), new Date());
  }

  // Removes the ids of callbacks that were processed too long ago to come again.
  forget() {
    const oldest = Date.now() - REMEMBERED_HOURS * HOUR;
    for (const name of fs.readdirSync(this.folder).filter((each) => each.endsWith('.done'))) {
      const file = path.join(this.folder, name);
      if (fs.statSync(file).mtimeMs < oldest) fs.unlinkSync(file);
    }
  }

  waiting() {
    const names = fs.readdirSync(this.folder).filter((name) => name.endsWith('.json'));
    return names.map((name) => decodeURIComponent(name.slice(0, -'.json'.length)));
  }

  file(id, state) {
    return path.join(this.folder, `${encodeURIComponent(id)}.${state}`);
  }
}

function createReceiver(secret, inbox) {
  return http.createServer((request, response) => {
    const answer = (status) => response.writeHead(status).end();
    const length = request.headers['content-length'];
    if (request.method !== 'POST') return answer(405);
    if (length === undefined) return answer(411);
    if (Number(length) > MOST_BYTES) return answer(413);
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      if (!isGenuine(request.headers, body, secret)) return answer(401);
      try {
        receive(request.headers['webhook-id'], body);
      } catch (error) {
        console.error(error);
        return answer(500);
      }
      answer(204);
    });

    function receive(id, body) {
      if (inbox.put(id, body)) response.once('close', () => inbox.workOff(id));
    }
  });
}

if (require.main === module) {
  const secret = process.env.CALLBACK_SECRET;
  const [, , port, folder] = process.argv;
  if (!keyOf(secret) || !folder) {
    console.error('Usage: CALLBACK_SECRET=whsec_... node receiver.js PORT FOLDER, with a full secret');
    process.exit(1);
  }
  const inbox = new Inbox(folder);
  inbox.forget();
  setInterval(() => inbox.forget(), HOUR).unref();
  for (const id of inbox.waiting()) inbox.workOff(id);
  const server = createReceiver(secret, inbox);
  server.listen(Number(port), '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
  });
}
