package dev.partita.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Compares numbers and layouts with what the C compiler makes of the kernel's headers.
class StructuresTest {
  @TempDir Path folder;

  @Test
  void numbersAndLayoutsAreThoseOfTheKernelsHeaders() throws Exception {
    assumeTrue(
        Files.exists(Path.of("/usr/include/linux/kvm.h")),
        "not compared: the host has no <linux/kvm.h> (package linux-libc-dev)");
    var expected = compile(expressions());
    var ours = new TreeMap<String, Long>();
    ours.putAll(expressions());
    assertThat(ours).hasSizeGreaterThan(150).isEqualTo(expected);
  }

  /// C expressions, and what they are here.
  private static Map<String, Long> expressions() {
    var all = new LinkedHashMap<String, Long>();
    for (var ioctl : Ioctl.values()) {
      all.put(ioctl.name(), ioctl.request);
    }
    for (var capability : Capability.values()) {
      // The newest may be missing in older headers.
      all.put(capability.name(), (long) capability.number);
    }
    constants(all);
    structures(all);
    return all;
  }

  private static void constants(Map<String, Long> all) {
    all.put("KVM_EXIT_UNKNOWN", (long) RunArea.EXIT_UNKNOWN);
    all.put("KVM_EXIT_IO", (long) RunArea.EXIT_IO);
    all.put("KVM_EXIT_MMIO", (long) RunArea.EXIT_MMIO);
    all.put("KVM_EXIT_IRQ_WINDOW_OPEN", (long) RunArea.EXIT_IRQ_WINDOW_OPEN);
    all.put("KVM_EXIT_SHUTDOWN", (long) RunArea.EXIT_SHUTDOWN);
    all.put("KVM_EXIT_FAIL_ENTRY", (long) RunArea.EXIT_FAIL_ENTRY);
    all.put("KVM_EXIT_INTR", (long) RunArea.EXIT_INTR);
    all.put("KVM_EXIT_INTERNAL_ERROR", (long) RunArea.EXIT_INTERNAL_ERROR);
    all.put("KVM_EXIT_IOAPIC_EOI", (long) RunArea.EXIT_IOAPIC_EOI);
    all.put("KVM_EXIT_X86_RDMSR", (long) RunArea.EXIT_X86_RDMSR);
    all.put("KVM_EXIT_X86_WRMSR", (long) RunArea.EXIT_X86_WRMSR);
    all.put("KVM_EXIT_DIRTY_RING_FULL", (long) RunArea.EXIT_DIRTY_RING_FULL);
    all.put("KVM_DIRTY_LOG_PAGE_OFFSET", (long) DirtyRing.PAGE_OFFSET);
    all.put("KVM_DIRTY_GFN_F_DIRTY", (long) DirtyRing.DIRTY);
    all.put("KVM_DIRTY_GFN_F_RESET", (long) DirtyRing.RESET);
    all.put("KVM_CLOCK_HOST_TSC", (long) TimeStampCounter.CLOCK_HOST_TSC);
    all.put("KVM_MEM_LOG_DIRTY_PAGES", (long) DirtyLog.LOG_DIRTY_PAGES);
    all.put("KVM_IOEVENTFD_FLAG_DATAMATCH", (long) EventDoorbells.FLAG_DATAMATCH);
    all.put("KVM_IOEVENTFD_FLAG_PIO", (long) EventDoorbells.FLAG_PIO);
    all.put("KVM_IOEVENTFD_FLAG_DEASSIGN", (long) EventDoorbells.FLAG_DEASSIGN);
    all.put("EFD_CLOEXEC", (long) Posix.EFD_CLOEXEC);
    all.put("EFD_NONBLOCK", (long) Posix.EFD_NONBLOCK);
    all.put("EPOLL_CLOEXEC", (long) Posix.EPOLL_CLOEXEC);
    all.put("EPOLL_CTL_ADD", (long) Posix.EPOLL_CTL_ADD);
    all.put("EPOLLIN", (long) Posix.EPOLLIN);
    all.put("(unsigned) EPOLLET", Posix.EPOLLET & 0xFFFF_FFFFL);
    all.put("EBADF", (long) Posix.EBADF);
    all.put("ENOSPC", (long) Posix.ENOSPC);
    all.put("KVM_INTERNAL_ERROR_EMULATION", (long) RunArea.INTERNAL_ERROR_EMULATION);
    all.put("KVM_CPUID_FLAG_SIGNIFCANT_INDEX", (long) GuestCpuid.INDEXED);
    all.put("O_RDWR", (long) Posix.O_RDWR);
    all.put("O_CLOEXEC", (long) Posix.O_CLOEXEC);
    all.put("SIGURG", (long) Posix.SIGURG);
    all.put("sizeof(sigset_t)", (long) Posix.SIGNAL_SET_SIZE);
    all.put("EINTR", (long) Posix.EINTR);
    all.put("EAGAIN", (long) Posix.EAGAIN);
    all.put("ENOTTY", (long) Posix.ENOTTY);
    all.put("EOPNOTSUPP", (long) Posix.EOPNOTSUPP);
  }

  private static void structures(Map<String, Long> all) {
    var run = new Structure(all, "struct kvm_run");
    run.size(Structures.Run.SIZE);
    run.at("request_interrupt_window", Structures.Run.REQUEST_INTERRUPT_WINDOW);
    run.at("immediate_exit", Structures.Run.IMMEDIATE_EXIT);
    run.at("exit_reason", Structures.Run.EXIT_REASON);
    run.at("ready_for_interrupt_injection", Structures.Run.READY_FOR_INTERRUPT_INJECTION);
    run.at("hw.hardware_exit_reason", Structures.Run.HARDWARE_EXIT_REASON);
    run.at(
        "fail_entry.hardware_entry_failure_reason", Structures.Run.HARDWARE_ENTRY_FAILURE_REASON);
    run.at("io.direction", Structures.Run.IO_DIRECTION);
    run.at("io.size", Structures.Run.IO_SIZE);
    run.at("io.port", Structures.Run.IO_PORT);
    run.at("io.count", Structures.Run.IO_COUNT);
    run.at("io.data_offset", Structures.Run.IO_DATA_OFFSET);
    run.at("mmio.phys_addr", Structures.Run.MMIO_ADDRESS);
    run.at("mmio.data", Structures.Run.MMIO_DATA);
    run.at("mmio.len", Structures.Run.MMIO_LENGTH);
    run.at("mmio.is_write", Structures.Run.MMIO_IS_WRITE);
    run.at("internal.suberror", Structures.Run.INTERNAL_SUBERROR);
    run.at("internal.ndata", Structures.Run.INTERNAL_DATA_COUNT);
    run.at("internal.data", Structures.Run.INTERNAL_DATA);
    run.at("emulation_failure.flags", Structures.Run.EMULATION_FLAGS);
    run.at("emulation_failure.insn_size", Structures.Run.EMULATION_INSTRUCTION_SIZE);
    run.at("emulation_failure.insn_bytes", Structures.Run.EMULATION_INSTRUCTION);
    run.at("eoi.vector", Structures.Run.EOI_VECTOR);
    run.at("msr.error", Structures.Run.MSR_ERROR);
    run.at("msr.index", Structures.Run.MSR_INDEX);
    run.at("msr.data", Structures.Run.MSR_DATA);
    run.at("kvm_valid_regs", Structures.Run.VALID_REGISTERS);
    run.at("kvm_dirty_regs", Structures.Run.DIRTY_REGISTERS);
    run.at("s.regs.regs", Structures.Run.SYNC_REGISTERS);

    var registers = new Structure(all, "struct kvm_regs");
    registers.size(Structures.Registers.SIZE);
    String[] names = {
      "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
      "r13", "r14", "r15"
    };
    for (int i = 0; i < names.length; i++) {
      registers.at(names[i], Structures.Registers.general(i));
    }
    registers.at("rip", Structures.Registers.RIP);
    registers.at("rflags", Structures.Registers.RFLAGS);

    var segment = new Structure(all, "struct kvm_segment");
    segment.size(Structures.Segment.SIZE);
    segment.at("base", Structures.Segment.BASE);
    segment.at("limit", Structures.Segment.LIMIT);
    segment.at("selector", Structures.Segment.SELECTOR);
    segment.at("type", Structures.Segment.TYPE);
    segment.at("present", Structures.Segment.PRESENT);
    segment.at("dpl", Structures.Segment.DPL);
    segment.at("db", Structures.Segment.DB);
    segment.at("s", Structures.Segment.S);
    segment.at("l", Structures.Segment.L);
    segment.at("g", Structures.Segment.G);
    segment.at("avl", Structures.Segment.AVL);
    segment.at("unusable", Structures.Segment.UNUSABLE);

    var system = new Structure(all, "struct kvm_sregs");
    system.size(Structures.SystemRegisters.SIZE);
    system.at("cs", Structures.SystemRegisters.CS);
    system.at("ds", Structures.SystemRegisters.DS);
    system.at("es", Structures.SystemRegisters.ES);
    system.at("fs", Structures.SystemRegisters.FS);
    system.at("gs", Structures.SystemRegisters.GS);
    system.at("ss", Structures.SystemRegisters.SS);
    system.at("tr", Structures.SystemRegisters.TR);
    system.at("ldt", Structures.SystemRegisters.LDT);
    system.at("gdt", Structures.SystemRegisters.GDT);
    system.at("idt", Structures.SystemRegisters.IDT);
    system.at("cr0", Structures.SystemRegisters.CR0);
    system.at("cr2", Structures.SystemRegisters.CR2);
    system.at("cr3", Structures.SystemRegisters.CR3);
    system.at("cr4", Structures.SystemRegisters.CR4);
    system.at("cr8", Structures.SystemRegisters.CR8);
    system.at("efer", Structures.SystemRegisters.EFER);
    system.at("apic_base", Structures.SystemRegisters.APIC_BASE);
    system.at("interrupt_bitmap", Structures.SystemRegisters.INTERRUPT_BITMAP);
    new Structure(all, "struct kvm_dtable").at("limit", Structures.SystemRegisters.TABLE_LIMIT);

    var translation = new Structure(all, "struct kvm_translation");
    translation.size(Structures.Translation.SIZE);
    translation.at("linear_address", Structures.Translation.LINEAR_ADDRESS);
    translation.at("physical_address", Structures.Translation.PHYSICAL_ADDRESS);
    translation.at("valid", Structures.Translation.VALID);

    var events = new Structure(all, "struct kvm_vcpu_events");
    events.size(Structures.Events.SIZE);
    events.at("exception.injected", Structures.Events.EXCEPTION_INJECTED);
    events.at("exception.nr", Structures.Events.EXCEPTION_VECTOR);
    events.at("exception.has_error_code", Structures.Events.EXCEPTION_HAS_ERROR_CODE);
    events.at("exception.pending", Structures.Events.EXCEPTION_PENDING);
    events.at("exception.error_code", Structures.Events.EXCEPTION_ERROR_CODE);
    events.at("interrupt.injected", Structures.Events.INTERRUPT_INJECTED);
    events.at("interrupt.nr", Structures.Events.INTERRUPT_VECTOR);
    events.at("interrupt.soft", Structures.Events.INTERRUPT_SOFT);
    events.at("interrupt.shadow", Structures.Events.INTERRUPT_SHADOW);
    events.at("nmi.injected", Structures.Events.NMI_INJECTED);
    events.at("nmi.pending", Structures.Events.NMI_PENDING);
    events.at("nmi.masked", Structures.Events.NMI_MASKED);
    events.at("flags", Structures.Events.FLAGS);

    var debug = new Structure(all, "struct kvm_debugregs");
    debug.size(Structures.DebugRegisters.SIZE);
    debug.at("db", Structures.DebugRegisters.DR0);
    debug.at("dr6", Structures.DebugRegisters.DR6);
    debug.at("dr7", Structures.DebugRegisters.DR7);

    var control = new Structure(all, "struct kvm_xcrs");
    control.size(Structures.ExtendedControl.SIZE);
    control.at("nr_xcrs", Structures.ExtendedControl.COUNT);
    control.at("xcrs[0].xcr", Structures.ExtendedControl.FIRST_REGISTER);
    control.at("xcrs[0].value", Structures.ExtendedControl.FIRST_VALUE);
    new Structure(all, "struct kvm_xcr").size(Structures.ExtendedControl.REGISTER_SIZE);

    var msrs = new Structure(all, "struct kvm_msrs");
    msrs.size(Structures.Msrs.SIZE);
    msrs.at("nmsrs", Structures.Msrs.COUNT);
    var msr = new Structure(all, "struct kvm_msr_entry");
    msr.size(Structures.Msrs.ENTRY_SIZE);
    msr.at("index", Structures.Msrs.ENTRY_INDEX);
    msr.at("data", Structures.Msrs.ENTRY_DATA);

    var cpuid = new Structure(all, "struct kvm_cpuid2");
    cpuid.size(Structures.Cpuid.SIZE);
    cpuid.at("nent", Structures.Cpuid.COUNT);
    var leaf = new Structure(all, "struct kvm_cpuid_entry2");
    leaf.size(Structures.Cpuid.ENTRY_SIZE);
    leaf.at("function", Structures.Cpuid.ENTRY_FUNCTION);
    leaf.at("index", Structures.Cpuid.ENTRY_INDEX);
    leaf.at("flags", Structures.Cpuid.ENTRY_FLAGS);
    leaf.at("eax", Structures.Cpuid.ENTRY_EAX);
    leaf.at("ebx", Structures.Cpuid.ENTRY_EBX);
    leaf.at("ecx", Structures.Cpuid.ENTRY_ECX);
    leaf.at("edx", Structures.Cpuid.ENTRY_EDX);

    var region = new Structure(all, "struct kvm_userspace_memory_region");
    region.size(Structures.MemoryRegion.SIZE);
    region.at("slot", Structures.MemoryRegion.SLOT);
    region.at("flags", Structures.MemoryRegion.FLAGS);
    region.at("guest_phys_addr", Structures.MemoryRegion.GUEST_ADDRESS);
    region.at("memory_size", Structures.MemoryRegion.BYTES);
    region.at("userspace_addr", Structures.MemoryRegion.HOST_ADDRESS);

    var log = new Structure(all, "struct kvm_dirty_log");
    log.size(Structures.DirtyLog.SIZE);
    log.at("slot", Structures.DirtyLog.SLOT);
    log.at("dirty_bitmap", Structures.DirtyLog.BITMAP);

    var enable = new Structure(all, "struct kvm_enable_cap");
    enable.size(Structures.EnableCapability.SIZE);
    enable.at("cap", Structures.EnableCapability.CAPABILITY);
    enable.at("args", Structures.EnableCapability.ARGUMENT);

    var msi = new Structure(all, "struct kvm_msi");
    msi.size(Structures.Msi.SIZE);
    msi.at("address_lo", Structures.Msi.ADDRESS);
    msi.at("address_hi", Structures.Msi.ADDRESS_HIGH);
    msi.at("data", Structures.Msi.DATA);

    var event = new Structure(all, "struct kvm_ioeventfd");
    event.size(Structures.EventWrite.SIZE);
    event.at("datamatch", Structures.EventWrite.VALUE);
    event.at("addr", Structures.EventWrite.ADDRESS);
    event.at("len", Structures.EventWrite.LENGTH);
    event.at("fd", Structures.EventWrite.DESCRIPTOR);
    event.at("flags", Structures.EventWrite.FLAGS);

    var page = new Structure(all, "struct kvm_dirty_gfn");
    page.size(Structures.DirtyPage.SIZE);
    page.at("flags", Structures.DirtyPage.FLAGS);
    page.at("slot", Structures.DirtyPage.SLOT);
    page.at("offset", Structures.DirtyPage.OFFSET);

    var ready = new Structure(all, "struct epoll_event");
    ready.size(Posix.EPOLL_EVENT_SIZE);
    ready.at("events", Posix.EPOLL_EVENT_EVENTS);
    ready.at("data", Posix.EPOLL_EVENT_DATA);

    var routing = new Structure(all, "struct kvm_irq_routing");
    routing.size(Structures.Routing.SIZE);
    routing.at("nr", Structures.Routing.COUNT);
    var route = new Structure(all, "struct kvm_irq_routing_entry");
    route.size(Structures.Routing.ENTRY_SIZE);
    route.at("gsi", Structures.Routing.ENTRY_GSI);
    route.at("type", Structures.Routing.ENTRY_TYPE);
    route.at("u.msi.address_lo", Structures.Routing.ENTRY_MSI_ADDRESS);
    route.at("u.msi.data", Structures.Routing.ENTRY_MSI_DATA);

    var filter = new Structure(all, "struct kvm_msr_filter");
    filter.size(Structures.MsrFilter.SIZE);
    filter.at("flags", Structures.MsrFilter.FLAGS);
    filter.at("ranges[0].flags", Structures.MsrFilter.RANGE_FLAGS);
    filter.at("ranges[0].nmsrs", Structures.MsrFilter.RANGE_COUNT);
    filter.at("ranges[0].base", Structures.MsrFilter.RANGE_FIRST);
    filter.at("ranges[0].bitmap", Structures.MsrFilter.RANGE_BITMAP);

    var mask = new Structure(all, "struct kvm_signal_mask");
    mask.size(Structures.SignalMask.SIZE);
    mask.at("len", Structures.SignalMask.LENGTH);

    var clock = new Structure(all, "struct kvm_clock_data");
    clock.size(Structures.Clock.SIZE);
    clock.at("flags", Structures.Clock.FLAGS);
    clock.at("host_tsc", Structures.Clock.HOST_TSC);

    var attribute = new Structure(all, "struct kvm_device_attr");
    attribute.size(Structures.Attribute.SIZE);
    attribute.at("group", Structures.Attribute.GROUP);
    attribute.at("attr", Structures.Attribute.NUMBER);
    attribute.at("addr", Structures.Attribute.ADDRESS);
    // Both 0: group and attribute of the offset of the time stamp counter.
    all.put("KVM_VCPU_TSC_CTRL", 0L);
    all.put("KVM_VCPU_TSC_OFFSET", 0L);

    new Structure(all, "struct kvm_xsave").size(Structures.XSAVE_SIZE);
    new Structure(all, "struct kvm_lapic_state").size(0x400);
  }

  private record Structure(Map<String, Long> all, String name) {
    void size(long bytes) {
      all.put("sizeof(" + name + ")", bytes);
    }

    void at(String field, long offset) {
      all.put("offsetof(" + name + ", " + field + ")", offset);
    }
  }

  private Map<String, Long> compile(Map<String, Long> expressions)
      throws IOException, InterruptedException {
    var source =
        new StringBuilder(
            """
            #define _GNU_SOURCE
            #include <errno.h>
            #include <fcntl.h>
            #include <signal.h>
            #include <stddef.h>
            #include <stdio.h>
            #include <linux/kvm.h>
            #include <sys/epoll.h>
            #include <sys/eventfd.h>
            int main(void) {
            """);
    for (var expression : expressions.keySet()) {
      source.append(
          "printf(\"%%lld %%s\\n\", (long long) (unsigned long) (%s), \"%s\");%n"
              .formatted(expression, expression));
    }
    source.append("return 0; }\n");
    var c = folder.resolve("structures.c");
    var program = folder.resolve("structures");
    Files.writeString(c, source);
    run("gcc", "-w", "-o", program.toString(), c.toString());
    var values = new TreeMap<String, Long>();
    for (var line : run(program.toString()).lines().toList()) {
      int blank = line.indexOf(' ');
      values.put(line.substring(blank + 1), Long.parseLong(line.substring(0, blank)));
    }
    return values;
  }

  private static String run(String... command) throws IOException, InterruptedException {
    Process process;
    try {
      process = new ProcessBuilder(command).redirectErrorStream(true).start();
    } catch (IOException e) {
      assumeTrue(false, "not compared: " + e.getMessage());
      throw e;
    }
    var output =
        new String(
            process.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).as(output).isZero();
    return output;
  }
}
