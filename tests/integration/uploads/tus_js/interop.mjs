// What a browser's or a Node program's uploads look like: tus-js-client against a running room.
// Says what it saw as one object of JSON, which the test compares with what the room has.

import { createHash } from 'node:crypto'
import { createReadStream, readFileSync } from 'node:fs'
import { FileUrlStorage } from 'tus-js-client/lib/node/urlStorage.js'
import { Upload } from 'tus-js-client'

const { endpoint, token, chunk, storage, packages } = JSON.parse(readFileSync(0, 'utf-8'))

function options(one, more) {
  return {
    endpoint,
    chunkSize: chunk,
    retryDelays: null,
    headers: { Authorization: `Bearer ${token}` },
    metadata: { manifest: readFileSync(one.manifest, 'utf-8'), filename: 'p' },
    ...more,
  }
}

// Ends with what the upload came to: "done", "stopped" after some chunks, or the status it was refused with.
function run(body, settings, { stopAfter = Infinity, previous = null } = {}) {
  return new Promise((resolve) => {
    let chunks = 0
    const upload = new Upload(body, {
      ...settings,
      onSuccess: () => resolve({ end: 'done', url: upload.url, chunks }),
      onError: (error) =>
        resolve({
          end: error.originalResponse ? error.originalResponse.getStatus() : String(error),
          url: upload.url,
          chunks,
        }),
      onChunkComplete: (_size, accepted) => {
        chunks += 1
        if (chunks >= stopAfter) upload.abort().then(() => resolve({ end: 'stopped', url: upload.url, accepted, chunks }))
      },
    })
    if (previous) upload.resumeFromPreviousUpload(previous)
    upload.start()
  })
}

async function resumed(one) {
  const body = readFileSync(one.payload)
  const settings = options(one, {
    urlStorage: new FileUrlStorage(storage),
    fingerprint: async () => one.manifest,
    storeFingerprintForResuming: true,
  })
  const stopped = await run(body, settings, { stopAfter: 2 })
  const [previous] = await new Upload(body, settings).findPreviousUploads()
  return { stopped, done: await run(body, settings, { previous }), previous: previous.uploadUrl }
}

async function checked(one) {
  const body = readFileSync(one.payload)
  let damage = true
  const settings = options(one, {
    onBeforeRequest: (request) => {
      if (request.getMethod() !== 'PATCH') return
      const at = Number(request.getHeader('Upload-Offset'))
      const bytes = body.subarray(at, at + chunk)
      const digest = createHash('sha256').update(damage && at > 0 ? 'other bytes' : bytes).digest('base64')
      request.setHeader('Upload-Checksum', `sha256 ${digest}`)
    },
  })
  const refused = await run(body, settings)
  damage = false
  return { refused, done: await run(body, { ...settings, uploadUrl: refused.url }) }
}

async function terminated(one) {
  const body = readFileSync(one.payload)
  const settings = options(one, {})
  const stopped = await run(body, settings, { stopAfter: 1 })
  await Upload.terminate(stopped.url, settings)
  return { stopped, again: await run(body, { ...settings, endpoint: null, uploadUrl: stopped.url }) }
}

async function streamed(one) {
  return { done: await run(createReadStream(one.payload), options(one, { chunkSize: Infinity, uploadSize: one.length })) }
}

console.log(
  JSON.stringify({
    resumed: await resumed(packages.resumed),
    checked: await checked(packages.checked),
    terminated: await terminated(packages.terminated),
    streamed: await streamed(packages.streamed),
  }),
)
