package dev.partita.engine.kvm;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.partita.engine.kvm.Structures.Cpuid;
import dev.partita.engine.kvm.Structures.EnableCapability;
import dev.partita.engine.kvm.Structures.Msrs;
import dev.partita.hypervisor.CpuidTable;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// The host's KVM: its device, open.
final class KvmHost implements AutoCloseable {
  /// The only stable version of the interface ("KVM_GET_API_VERSION" in the kernel's
  /// Documentation/virt/kvm/api.rst).
  private static final int API_VERSION = 12;

  /// Most CPUID leaves that the kernel takes (KVM_MAX_CPUID_ENTRIES).
  static final int MAXIMUM_LEAVES = 256;

  private static final int MAXIMUM_MSRS = 4096;

  /// What this engine cannot do without.
  private static final List<Capability> REQUIRED =
      List.of(
          Capability.KVM_CAP_USER_MEMORY,
          Capability.KVM_CAP_MP_STATE,
          Capability.KVM_CAP_IRQ_ROUTING,
          Capability.KVM_CAP_VCPU_EVENTS,
          Capability.KVM_CAP_DEBUGREGS,
          Capability.KVM_CAP_XSAVE,
          Capability.KVM_CAP_XCRS,
          Capability.KVM_CAP_SYNC_REGS,
          Capability.KVM_CAP_SIGNAL_MSI,
          Capability.KVM_CAP_SPLIT_IRQCHIP,
          Capability.KVM_CAP_IMMEDIATE_EXIT,
          Capability.KVM_CAP_X86_USER_SPACE_MSR,
          Capability.KVM_CAP_X86_MSR_FILTER);

  private final KvmDescriptor device;

  private KvmHost(KvmDescriptor device) {
    this.device = device;
  }

  /// Opens the device and checks that it is what this engine needs.
  ///
  /// @throws KvmException if it is not there, may not be used, or is too old
  static KvmHost open(Path path) {
    int fd = Posix.open(path.toString(), Posix.O_RDWR | Posix.O_CLOEXEC);
    if (fd < 0) {
      throw new KvmException("open " + path, -fd, adviceForOpen(-fd));
    }
    var host = new KvmHost(new KvmDescriptor(fd));
    try {
      int version = host.device.tryCall(Ioctl.KVM_GET_API_VERSION, 0);
      if (version < 0) {
        throw new KvmException(
            "KVM_GET_API_VERSION", -version, path + " is not KVM's device: use --engine software");
      }
      if (version != API_VERSION) {
        throw new KvmException(
            "KVM_GET_API_VERSION", 0, "version " + version + ", but only 12 was ever released");
      }
      var missing = new ArrayList<String>();
      for (var capability : REQUIRED) {
        if (host.check(capability) == 0) {
          missing.add(capability.name());
        }
      }
      if (!missing.isEmpty()) {
        throw new KvmException(
            "KVM_CHECK_EXTENSION",
            0,
            ("the host's KVM lacks %s: a newer kernel is needed (5.10 or later);"
                    + " until then use --engine software")
                .formatted(String.join(", ", missing)));
      }
    } catch (RuntimeException | Error e) {
      host.close();
      throw e;
    }
    return host;
  }

  static String adviceForOpen(int errno) {
    return switch (errno) {
      case Posix.ENOENT, Posix.ENODEV, Posix.ENXIO -> adviceForMissing();
      case Posix.EACCES, Posix.EPERM ->
          "you may not use it: join its group (sudo usermod -aG kvm $USER, then log in again)";
      case Posix.EMFILE, Posix.ENFILE -> "too many open files: raise the limit with ulimit -n";
      default -> "use --engine software";
    };
  }

  private static String adviceForMissing() {
    String flags = "";
    try {
      flags = Files.readString(Path.of("/proc/cpuinfo"));
    } catch (IOException e) {
      // Without it the advice is the general one.
      return "load the kernel's KVM module, or use --engine software";
    }
    if (flags.contains(" vmx")) {
      return "load the kernel's module (sudo modprobe kvm_intel), or use --engine software";
    }
    if (flags.contains(" svm")) {
      return "load the kernel's module (sudo modprobe kvm_amd), or use --engine software";
    }
    return "this host has no hardware virtualization, or its firmware turned it off:"
        + " use --engine software";
  }

  /// The modules that implement KVM here, such as `kvm_intel`; empty if they are built in.
  static List<String> modules() {
    try (var entries = Files.newDirectoryStream(Path.of("/sys/module"), "kvm_*")) {
      var names = new ArrayList<String>();
      entries.forEach(entry -> names.add(String.valueOf(entry.getFileName())));
      names.sort(null);
      return names;
    } catch (IOException e) {
      return List.of();
    }
  }

  /// @return 0 if KVM lacks it; else a number that depends on the capability
  int check(Capability capability) {
    return device.call(Ioctl.KVM_CHECK_EXTENSION, capability.number);
  }

  KvmDescriptor createMachine() {
    return device.create(Ioctl.KVM_CREATE_VM, 0);
  }

  /// Bytes of the memory shared with each virtual processor.
  int runAreaSize() {
    return device.call(Ioctl.KVM_GET_VCPU_MMAP_SIZE, 0);
  }

  /// Turns on an optional part of KVM.
  static void enable(KvmDescriptor machine, Capability capability, long argument) {
    try (var arena = Arena.ofConfined()) {
      var request = arena.allocate(EnableCapability.SIZE, 8);
      request.set(JAVA_INT, EnableCapability.CAPABILITY, capability.number);
      request.set(JAVA_LONG, EnableCapability.ARGUMENT, argument);
      int result = machine.tryCall(Ioctl.KVM_ENABLE_CAP, request);
      if (result < 0) {
        throw KvmException.of("KVM_ENABLE_CAP " + capability, -result);
      }
    }
  }

  /// The CPUID leaves that KVM can give a guest, as KVM tells them.
  List<CpuidTable.Leaf> supportedCpuid() {
    try (var arena = Arena.ofConfined()) {
      var buffer = arena.allocate(Cpuid.SIZE + (long) MAXIMUM_LEAVES * Cpuid.ENTRY_SIZE, 8);
      buffer.set(JAVA_INT, Cpuid.COUNT, MAXIMUM_LEAVES);
      device.call(Ioctl.KVM_GET_SUPPORTED_CPUID, buffer);
      int count = buffer.get(JAVA_INT, Cpuid.COUNT);
      var leaves = new ArrayList<CpuidTable.Leaf>();
      for (int i = 0; i < count; i++) {
        var entry = buffer.asSlice(Cpuid.SIZE + (long) i * Cpuid.ENTRY_SIZE, Cpuid.ENTRY_SIZE);
        boolean indexed = (entry.get(JAVA_INT, Cpuid.ENTRY_FLAGS) & GuestCpuid.INDEXED) != 0;
        leaves.add(
            new CpuidTable.Leaf(
                entry.get(JAVA_INT, Cpuid.ENTRY_FUNCTION),
                indexed ? entry.get(JAVA_INT, Cpuid.ENTRY_INDEX) : CpuidTable.ANY_SUBLEAF,
                entry.get(JAVA_INT, Cpuid.ENTRY_EAX),
                entry.get(JAVA_INT, Cpuid.ENTRY_EBX),
                entry.get(JAVA_INT, Cpuid.ENTRY_ECX),
                entry.get(JAVA_INT, Cpuid.ENTRY_EDX)));
      }
      return leaves;
    }
  }

  /// The numbers of the model-specific registers that belong to a guest's state, as KVM tells them.
  List<Integer> msrs() {
    try (var arena = Arena.ofConfined()) {
      var buffer = arena.allocate(4 + 4L * MAXIMUM_MSRS, 8);
      buffer.set(JAVA_INT, Msrs.COUNT, MAXIMUM_MSRS);
      device.call(Ioctl.KVM_GET_MSR_INDEX_LIST, buffer);
      int count = buffer.get(JAVA_INT, Msrs.COUNT);
      var numbers = new ArrayList<Integer>();
      for (int i = 0; i < count; i++) {
        numbers.add(buffer.get(JAVA_INT, 4 + 4L * i));
      }
      return numbers;
    }
  }

  @Override
  public void close() {
    device.close();
  }
}
