//! Why a task gave no frames, and whose fault that is. Knows reasons, not how they were found.

/// The scene's faults are final for everybody; after a node's fault another node may try.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault {
    #[error("{message}")]
    Scene { reason: SceneReason, message: String, log: String },
    #[error("{message}")]
    Node { reason: NodeReason, message: String, log: String },
}

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$why:meta])* $variant:ident = $code:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$why])* $variant),* }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Stable, for messages between programs.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }

            pub(crate) fn from_code(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.code() == code)
            }
        }
    };
}

pub(crate) use reasons;

reasons! {
    /// What is wrong with the scene or with what was ordered of it.
    SceneReason {
        /// Out of the bounds of an order.
        Order = "order",
        Unreadable = "unreadable",
        /// Saved by a newer Blender than this node's.
        NewerVersion = "newer_version",
        MissingAssets = "missing_assets",
        NoCamera = "no_camera",
        NothingToRender = "nothing_to_render",
        /// The scene's own engine, which the order did not replace, is not to be had here.
        EngineAbsent = "engine_absent",
    }
}

reasons! {
    /// What went wrong on this node.
    NodeReason {
        Sandbox = "sandbox",
        Crash = "crash",
        OutOfMemory = "out_of_memory",
        TimeLimit = "time_limit",
        CpuLimit = "cpu_limit",
        OutputLimit = "output_limit",
        Killed = "killed",
        Cancelled = "cancelled",
        /// The order names an engine that this node does not offer.
        EngineAbsent = "engine_absent",
        /// A file format that this node's Blender does not read.
        Format = "format",
        NoGpu = "no_gpu",
        RenderError = "render_error",
        /// A frame is missing, empty, truncated or of another kind.
        Output = "output",
        /// This machine's files or processes failed the agent itself.
        Machine = "machine",
    }
}

impl Fault {
    pub fn scene(reason: SceneReason, message: impl Into<String>) -> Self {
        Fault::Scene { reason, message: message.into(), log: String::new() }
    }

    pub fn node(reason: NodeReason, message: impl Into<String>) -> Self {
        Fault::Node { reason, message: message.into(), log: String::new() }
    }

    pub(crate) fn machine(doing: &str, cause: impl std::fmt::Display) -> Self {
        Fault::node(NodeReason::Machine, format!("{doing}: {cause}"))
    }

    pub(crate) fn with_log(mut self, tail: String) -> Self {
        match &mut self {
            Fault::Scene { log, .. } | Fault::Node { log, .. } => *log = tail,
        }
        self
    }

    pub fn is_scene(&self) -> bool {
        matches!(self, Fault::Scene { .. })
    }

    pub fn code(&self) -> &'static str {
        match self {
            Fault::Scene { reason, .. } => reason.code(),
            Fault::Node { reason, .. } => reason.code(),
        }
    }

    /// One sentence for people.
    pub fn message(&self) -> &str {
        match self {
            Fault::Scene { message, .. } | Fault::Node { message, .. } => message,
        }
    }

    /// The end of what Blender printed, at most a few kilobytes.
    pub fn log(&self) -> &str {
        match self {
            Fault::Scene { log, .. } | Fault::Node { log, .. } => log,
        }
    }
}
