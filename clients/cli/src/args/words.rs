//! What `--help` teaches beside the flags: first steps and examples.

pub(super) const FIRST_STEPS: &str = "\
A first render on one machine, nothing but this:
  framefair up &                                        hub and chain on this machine
  framefair wallet new me.json                          a wallet for what you spend
  framefair wallet airdrop 2 --wallet me.json           play money of the local chain
  framefair wallet new node.json                        a wallet for what your node earns
  framefair wallet airdrop 0.1 --wallet node.json
  framefair node run --hub http://127.0.0.1:8000 --wallet node.json &
  framefair render scene.blend --hub http://127.0.0.1:8000 --wallet me.json --out frames
";

pub(super) const RENDER_EXAMPLES: &str = "\
Examples:
  framefair render scene.blend --hub http://127.0.0.1:8000 --wallet me.json --out frames
  framefair render scene.blend --frames 1-8 --size 1280x720 --samples 64 \\
      --hub https://hub.example.org --rpc https://rpc.example.org --wallet me.json --out frames
  framefair render a.blend b.blend --frames 1-8 --hub ... --wallet me.json --out frames
  framefair render scene.blend --max-price 0.01 --yes --json --hub ... --wallet ... --out ...

What happens: the scene is checked here, sent, and priced. You see the price and say yes; only then
is it paid, and only then does anyone render. Frames arrive as DIR/SCENE_0001.png and so on, and
replace files of the same names. If the job fails, the money comes back by itself.

Several scenes are priced one after the other; you see the sum, and say yes once. Then they are paid,
rendered and received at the same time, and one that fails does not stop the others: the exit code is
that of the first that failed, and --json answers an array `jobs` with a document per scene. Scenes
whose names differ only in folder or ending are refused: their frames would have the same names.

A job's id stands on the public chain, and whoever has it can see the job. With --private only the
token opens it, which lies in DIR/.framefair; `status`, `watch` and `jobs` find it there.

Stopped in the middle? The same command again goes on where it stopped and never pays twice; what it
needs for that is in DIR/.framefair.";

pub(super) const WALLET_EXAMPLES: &str = "\
Examples:
  framefair wallet new me.json
  framefair wallet airdrop 2 --wallet me.json
  framefair wallet balance --wallet me.json

A wallet is one file that holds a secret key, in the form of Solana's own tools. Whoever has the
file has the money: keep a copy, and show it to nobody.";

pub(super) const NODE_EXAMPLES: &str = "\
Examples:
  framefair node run --hub http://127.0.0.1:8000 --wallet node.json
  framefair node run --hub https://hub.example.org --wallet node.json --name attic \\
      --price-frame 0.002 --price-second 0.0001 --price-min 0.005

The node finds Blender and the machine's devices, registers under its wallet, and renders what is
sent to it, each scene in a sandbox. Ctrl-C gives unfinished work back and ends it.";

pub(super) const LOGIN_EXAMPLES: &str = "\
Examples:
  framefair login ada@example.com --register --hub http://127.0.0.1:8000
  framefair credits
  framefair ledger verify 42
  framefair ledger audit --entries

The password is asked for, read from what is piped in, or taken from FRAMEFAIR_PASSWORD. The session is
kept in a file that only you can read; the commands that need it find it there.";

pub(super) const DISPATCH_EXAMPLES: &str = "\
Examples:
  framefair nodes
  framefair dispatch echo 'hello'
  framefair dispatch cpu_benchmark '{\"seconds\": 5}' --out score.json
  framefair dispatch render --file scene.blend --out frame.png
  framefair dispatch inference https://example.com/order.json --gpu --priority high --no-wait

The price is held while the job is open and charged when it completes; a job that fails costs nothing.
`framefair login` comes first, and `framefair credits` shows what was charged.";

pub(super) const JOBS_EXAMPLES: &str = "\
Examples:
  framefair jobs --out frames
  framefair jobs --out frames --json

The newest job comes first. STAGE is what this machine did last: offered, paying, paid, done (the
frames are here) or over (it ended without them). HUB is what the hub says now, asked for the newest
100 jobs; `away` is a hub that does not answer, `unknown` a job that it does not know or that is
private to another folder. A hub that is away is no failure: the exit code is 0.";

pub(super) const WATCH_EXAMPLES: &str = "\
Examples:
  framefair watch 0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001 --hub http://127.0.0.1:8000
  framefair watch 0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001 --hub http://127.0.0.1:8000 --out frames

Waits until the job ends, also while the hub restarts. Where DIR is the folder that the job was
ordered into, the frames are downloaded there; elsewhere the result's address is printed. It pays
nothing. The exit codes are those of `render`: 0 when the job is completed, 1 when it failed or was
cancelled.";

pub(super) const DOCTOR_EXAMPLES: &str = "\
Examples:
  framefair doctor
  framefair doctor --hub https://hub.example.org --rpc https://rpc.example.org --wallet me.json

One line for each thing that was looked at: ok, warning (it works, or only a node needs it), problem
(it is broken; the line below says what to do) or skipped (it was not named). The exit code is 0 when
nothing is broken, else 9. Nothing is changed, paid or sent but a few questions.";
