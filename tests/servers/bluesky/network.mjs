// A whole Bluesky for tests: directory, server, AppView and moderation. Says where it is, and waits.
import { TestNetwork } from '@atproto/dev-env'

const network = await TestNetwork.create({ dbPostgresSchema: 'network' })
console.log(`ready ${JSON.stringify({ server: network.pds.url, pictures: network.bsky.url })}`)

// Nobody is left to read what the tests asked for.
process.on('SIGTERM', () => process.exit(0))
