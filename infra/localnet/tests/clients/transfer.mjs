// The stock web3.js against the chain: fund, transfer, confirm by WebSocket, read back. Prints one
// line of JSON for the test that runs it. Its only argument is the RPC's URL: like any client it
// finds the WebSocket on the next port by itself.
import {
  Connection, Keypair, SystemProgram, Transaction, TransactionMessage, VersionedTransaction,
  sendAndConfirmTransaction,
} from "@solana/web3.js";

const connection = new Connection(process.argv[2], "confirmed");
const payer = Keypair.generate();
const payee = Keypair.generate().publicKey;

const slots = [];
const slotListener = connection.onSlotChange((info) => slots.push(info.slot));

const airdrop = await connection.requestAirdrop(payer.publicKey, 2_000_000_000);
await connection.confirmTransaction(
  { signature: airdrop, ...(await connection.getLatestBlockhash()) }, "confirmed");
const funded = await connection.getBalance(payer.publicKey);

const instruction = SystemProgram.transfer({
  fromPubkey: payer.publicKey, toPubkey: payee, lamports: 5_000_000 });
const legacy = await sendAndConfirmTransaction(
  connection, new Transaction().add(instruction), [payer]);

const latest = await connection.getLatestBlockhash();
const message = new TransactionMessage({
  payerKey: payer.publicKey, recentBlockhash: latest.blockhash, instructions: [instruction],
}).compileToV0Message();
const versioned = new VersionedTransaction(message);
versioned.sign([payer]);
const v0 = await connection.sendTransaction(versioned);
const confirmation = await connection.confirmTransaction({ signature: v0, ...latest });

const parsed = await connection.getParsedTransaction(
  v0, { commitment: "confirmed", maxSupportedTransactionVersion: 0 });
const raw = await connection.getTransaction(
  legacy, { commitment: "confirmed", maxSupportedTransactionVersion: 0 });
const history = await connection.getSignaturesForAddress(payee, {}, "confirmed");
let withoutVersion = null;
try {
  await connection.getTransaction(v0, { commitment: "confirmed" });
} catch (error) {
  withoutVersion = error.message;
}
await connection.removeSlotChangeListener(slotListener);

console.log(JSON.stringify({
  funded,
  received: await connection.getBalance(payee),
  left: await connection.getBalance(payer.publicKey),
  confirmationErr: confirmation.value.err,
  parsedInfo: parsed.transaction.message.instructions[0].parsed.info,
  parsedVersion: parsed.version,
  expectedInfo: {
    source: payer.publicKey.toBase58(), destination: payee.toBase58(), lamports: 5_000_000 },
  rawFee: raw.meta.fee,
  rawDelta: raw.meta.postBalances[1] - raw.meta.preBalances[1],
  history: history.map((entry) => entry.signature),
  expectedHistory: [v0, legacy],
  withoutVersion,
  slotsSeen: slots.length,
  slotsAscend: slots.every((slot, index) => index === 0 || slot > slots[index - 1]),
}));
process.exit(0);
