//! What a child that reads strangers' media may do: hardly anything, and for no longer than we run.
//!
//! Called by a process that has one thread and becomes the child (`exec`), so nothing here has to
//! hold for a process that goes on.
//!
//! Contract: integers, and structures of the frame that calls; the kernel keeps no pointer.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, NetPort,
    PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, Scope,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// Folders of programs, libraries and what belongs to them.
const PROGRAMS: [&str; 8] =
    ["/usr", "/bin", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store", "/opt/ffmpeg"];

/// What libraries read to find hosts, to check certificates, and to be configured.
const SETTINGS: [&str; 20] = [
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/resolv.conf",
    "/run/systemd/resolve",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/nsswitch.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/localtime",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls",
    "/etc/pki/ca-trust",
    "/etc/ca-certificates",
    "/etc/gnutls/config",
    "/etc/crypto-policies",
];

/// Devices that everybody may read.
const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"];

/// Where names of hosts are looked up by TCP.
const DNS_PORT: u16 = 53;

/// What a child may do.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Bounds {
    /// The program that it becomes.
    pub program: PathBuf,
    /// Files that it may read, besides what belongs to the system.
    pub readable: Vec<PathBuf>,
    /// What it may get at by no way whatever.
    pub forbidden: PathBuf,
    /// TCP ports that it may connect to; none = all.
    pub connects: Option<Vec<u16>>,
    /// TCP ports at which it may listen.
    pub listens: Vec<u16>,
    /// Bytes of memory that it may write.
    pub memory: u64,
    /// Descriptors that it may have.
    pub descriptors: u64,
}

/// Whether this kernel can confine anything.
///
/// # Errors
///
/// It can't, in words.
pub fn is_possible() -> Result<(), String> {
    ruleset(false).map(drop)
}

/// Confines this process for ever, and whatever it becomes.
///
/// # Errors
///
/// Something could not be forbidden, in words. Then nothing may be begun.
pub fn confine(bounds: &Bounds) -> Result<(), String> {
    let failed = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    limit(libc::RLIMIT_CORE, 0).map_err(failed("no core dumps"))?;
    limit(libc::RLIMIT_FSIZE, 0).map_err(failed("no files"))?;
    limit(libc::RLIMIT_DATA, bounds.memory).map_err(failed("memory"))?;
    limit(libc::RLIMIT_NOFILE, bounds.descriptors).map_err(failed("descriptors"))?;
    drop_capabilities().map_err(failed("capabilities"))?;
    confine_files(bounds)?;
    for filter in filters().map_err(|error| format!("seccomp: {error}"))? {
        seccompiler::apply_filter(&filter).map_err(|error| format!("seccomp: {error}"))?;
    }
    Ok(())
}

/// Rules that forbid everything so far: what every kernel with Landlock can, and what newer ones
/// can besides.
fn ruleset(is_connecting_handled: bool) -> Result<RulesetCreated, String> {
    let rules = || {
        let rules = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(ABI::V1))?
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(ABI::V5))?
            .scope(Scope::from_all(ABI::V6))?
            .handle_access(AccessNet::BindTcp)?;
        if is_connecting_handled {
            rules.handle_access(AccessNet::ConnectTcp)?.create()
        } else {
            rules.create()
        }
    };
    rules().map_err(|error| format!("this kernel does not confine programs by Landlock ({error})"))
}

fn confine_files(bounds: &Bounds) -> Result<(), String> {
    let mut rules = ruleset(bounds.connects.is_some())?;
    // It may be made later.
    let forbidden = bounds.forbidden.canonicalize();
    let forbidden = forbidden.or_else(|_| std::path::absolute(&bounds.forbidden));
    let forbidden = forbidden.map_err(|error| format!("the state's folder: {error}"))?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let programs = PROGRAMS.iter().map(|path| (Path::new(path), read | AccessFs::Execute));
    let settings = SETTINGS.iter().map(|path| (Path::new(path), read));
    let devices =
        DEVICES.iter().map(|path| (Path::new(path), AccessFs::ReadFile | AccessFs::WriteFile));
    let program = [(&*bounds.program, AccessFs::ReadFile | AccessFs::Execute)].into_iter();
    for (path, access) in programs.chain(settings).chain(devices).chain(program) {
        // What this system has not need not be allowed.
        if let Ok(path) = path.canonicalize() {
            rules = allow(rules, &path, access, &forbidden)?;
        }
    }
    for path in &bounds.readable {
        let path = path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))?;
        rules = allow(rules, &path, AccessFs::ReadFile.into(), &forbidden)?;
    }
    let ports = || {
        for &port in &bounds.listens {
            rules = rules.add_rule(NetPort::new(port, AccessNet::BindTcp))?;
        }
        for &port in bounds.connects.iter().flatten().chain([&DNS_PORT]) {
            if bounds.connects.is_some() {
                rules = rules.add_rule(NetPort::new(port, AccessNet::ConnectTcp))?;
            }
        }
        rules.restrict_self()
    };
    ports().map(drop).map_err(|error| format!("Landlock: {error}"))
}

fn allow(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
    forbidden: &Path,
) -> Result<RulesetCreated, String> {
    if path.starts_with(forbidden) || forbidden.starts_with(path) {
        let (path, forbidden) = (path.display(), forbidden.display());
        return Err(format!("{path} and {forbidden} lie in each other, and the latter is ours"));
    }
    let open = PathFd::new(path).map_err(|error| format!("{}: {error}", path.display()))?;
    // Of a file what concerns folders can't be allowed.
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(ABI::V1) };
    let rule = PathBeneath::new(open, access);
    rules.add_rule(rule).map_err(|error| format!("{}: {error}", path.display()))
}

/// What a program that reads, decodes, encodes and sends never asks for, but one that was taken
/// over might: other processes, sockets of this machine's servers, rings that no filter sees, and
/// children.
fn filters() -> Result<[BpfProgram; 2], seccompiler::BackendError> {
    let when = |argument, operator, value| {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?;
        SeccompRule::new(vec![condition]).map(|rule| vec![rule])
    };
    let thread = libc::CLONE_THREAD as u64;
    let mut forbidden: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::from([
        (libc::SYS_socket, when(0, SeccompCmpOp::Eq, libc::AF_UNIX as u64)?),
        (libc::SYS_clone, when(0, SeccompCmpOp::MaskedEq(thread), 0)?),
        (libc::SYS_prlimit64, when(0, SeccompCmpOp::Ne, 0)?),
    ]);
    let never = [
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_getfd,
        libc::SYS_pidfd_send_signal,
        libc::SYS_kill,
        libc::SYS_rt_sigqueueinfo,
        libc::SYS_sched_setaffinity,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_keyctl,
        libc::SYS_unshare,
        libc::SYS_setns,
    ];
    forbidden.extend(never.map(|call| (call, Vec::new())));
    #[cfg(target_arch = "x86_64")]
    forbidden.extend([libc::SYS_fork, libc::SYS_vfork].map(|call| (call, Vec::new())));
    // Libraries take these for an older kernel, and ask in the way that can be looked at.
    let unknown = [libc::SYS_clone3, libc::SYS_io_uring_setup].map(|call| (call, Vec::new()));
    Ok([filter(forbidden, libc::EPERM)?, filter(unknown.into_iter().collect(), libc::ENOSYS)?])
}

fn filter(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    errno: libc::c_int,
) -> Result<BpfProgram, seccompiler::BackendError> {
    let errno = SeccompAction::Errno(errno.unsigned_abs());
    let machine = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::Allow, errno, machine)?.try_into()
}

/// This process is killed when the thread that began it ends; and now, if it is not `parent`'s
/// child any more.
///
/// # Errors
///
/// As prctl(2); or the parent is gone.
pub fn end_with(parent: u32) -> io::Result<()> {
    // SAFETY: integers only.
    let set = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
    if set != 0 {
        return Err(io::Error::last_os_error());
    }
    if std::os::unix::process::parent_id() != parent {
        return Err(io::Error::other("the server has ended"));
    }
    Ok(())
}

fn limit(resource: libc::__rlimit_resource_t, most: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: `limit` is initialised, lives over the call, and is only read.
    let result = unsafe { libc::setrlimit(resource, &raw const limit) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whoever runs the server as root has children that can't do what root can.
fn drop_capabilities() -> io::Result<()> {
    /// `_LINUX_CAPABILITY_VERSION_3`: two structures for 64 capabilities.
    const VERSION: u32 = 0x2008_0522;
    #[repr(C)]
    struct Header {
        version: u32,
        process: libc::c_int,
    }
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    for capability in 0..64 {
        // SAFETY: integers only. Where there is none of this number, or we may not, nothing
        // changes; what could be gained by a program is nothing once no privileges can be.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    // SAFETY: integers only.
    let ambient =
        unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    if ambient != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: integers only.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let header = Header { version: VERSION, process: 0 };
    let none = [Data { effective: 0, permitted: 0, inheritable: 0 }; 2];
    // SAFETY: both have the kernel's layout for this version, outlive the call, and are only read.
    let set = unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The program of this name, as a shell would find it.
#[must_use]
pub fn program(name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let folders = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| {
        path.metadata().is_ok_and(|is| is.is_file() && is.permissions().mode() & 0o111 != 0)
    })?;
    found.canonicalize().ok()
}
