package dev.partita.engine.kvm;

/// KVM refused something. The message is one line for the operator: what failed, why the kernel
/// says so, and what can be done.
public final class KvmException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private static final String GENERAL =
      "the host kernel's log (dmesg) may say more; --engine software needs no KVM";

  /// What failed, such as `KVM_CREATE_VM` or `open /dev/kvm`.
  private final String operation;

  private final int errno;

  /// @param operation an ioctl's name, or another call and its object
  /// @param errno the kernel's error number, or 0 if the kernel did not fail
  /// @param advice what the operator can do; may be empty
  KvmException(String operation, int errno, String advice) {
    super(message(operation, errno, advice));
    this.operation = operation;
    this.errno = errno;
  }

  /// An ioctl that failed, with the usual advice for its error.
  static KvmException of(Ioctl ioctl, int errno) {
    return new KvmException(ioctl.name(), errno, advice(ioctl, errno));
  }

  /// Another call that failed, with the usual advice for its error.
  static KvmException of(String call, int errno) {
    return new KvmException(call, errno, advice(errno));
  }

  private static String message(String operation, int errno, String advice) {
    var text = new StringBuilder(operation);
    if (errno != 0) {
      text.append(": ").append(Posix.errorText(errno)).append(" (errno ").append(errno).append(')');
    }
    if (!advice.isEmpty()) {
      text.append(": ").append(advice);
    }
    return text.toString();
  }

  private static String advice(Ioctl ioctl, int errno) {
    return switch (errno) {
      case Posix.EBUSY ->
          ioctl == Ioctl.KVM_CREATE_VM
              ? "the processor's virtualization is in use by another hypervisor on this host"
              : GENERAL;
      case Posix.ENOTTY, Posix.EOPNOTSUPP ->
          "the host's kernel is too old for this engine: use --engine software";
      case Posix.EINVAL ->
          switch (ioctl) {
            case KVM_CREATE_VCPU -> "the host's KVM allows fewer virtual processors";
            case KVM_SET_CPUID2 -> "the host's KVM does not take this CPUID table";
            case KVM_SET_USER_MEMORY_REGION ->
                "the host's KVM does not take RAM of this size or at this place";
            default -> GENERAL;
          };
      default -> advice(errno);
    };
  }

  private static String advice(int errno) {
    return switch (errno) {
      case Posix.ENOMEM ->
          "the host's kernel is out of memory: give the partition less, or stop other programs";
      case Posix.EMFILE -> "too many open files: raise the limit with ulimit -n";
      case Posix.ENFILE ->
          "too many open files on this host: stop other programs, or raise fs.file-max";
      case Posix.ENOSPC -> "a limit of the host's kernel is reached: stop other partitions";
      case Posix.EACCES, Posix.EPERM ->
          "a security policy of this host (seccomp, SELinux, a container's) may forbid it";
      case Posix.EFAULT, Posix.EEXIST, Posix.EBADF -> "a defect of Partita: please report it";
      case Posix.ENOSYS -> "the host's kernel is too old for this engine: use --engine software";
      default -> GENERAL;
    };
  }

  /// What failed: an ioctl's name, or another call and its object.
  public String operation() {
    return operation;
  }

  /// The kernel's error number, or 0 if the kernel did not fail.
  public int errno() {
    return errno;
  }
}
