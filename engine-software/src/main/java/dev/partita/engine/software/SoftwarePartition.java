package dev.partita.engine.software;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.LocalApicBus;
import dev.partita.hypervisor.Partition;
import dev.partita.hypervisor.PartitionConfiguration;
import dev.partita.hypervisor.VirtualProcessor;
import java.util.ArrayList;
import java.util.List;

/// A partition on the software engine: what its processors share.
final class SoftwarePartition implements Partition {
  private final PartitionConfiguration configuration;
  private final CodeCache code;
  private final Translator translator = new Translator(this);
  private final Rendezvous rendezvous = new Rendezvous();
  private final List<SoftwareProcessor> processors;
  private final LocalApicBus apics;
  private final GuestMemory.WriteObserver writeObserver;
  private final GuestMemory.DirtySource dirtySource = new DirtyWrites();

  private final long origin;

  SoftwarePartition(PartitionConfiguration configuration) {
    this.configuration = configuration;
    this.origin = configuration.time().nanoTime();
    this.code = new CodeCache(this, configuration.memory().size());
    this.apics = configuration.interruptControllers().apply(this);
    var list = new ArrayList<SoftwareProcessor>();
    for (int i = 0; i < configuration.processorCount(); i++) {
      var processor = new SoftwareProcessor(this, i);
      processor.connect(apics.connect(processor));
      list.add(processor);
    }
    this.processors = List.copyOf(list);
    rendezvous.setProcessors(processors);
    apics.onEndOfInterrupt((index, vector) -> processors.get(index).endOfInterrupt(vector));
    writeObserver = code::written;
    configuration.memory().addWriteObserver(writeObserver);
    configuration.memory().addDirtySource(dirtySource);
  }

  @Override
  public PartitionConfiguration configuration() {
    return configuration;
  }

  @Override
  public List<VirtualProcessor> processors() {
    return List.copyOf(processors);
  }

  List<SoftwareProcessor> softwareProcessors() {
    return processors;
  }

  Translator translator() {
    return translator;
  }

  CodeCache code() {
    return code;
  }

  /// When this partition's time began, in the time source's terms.
  long origin() {
    return origin;
  }

  Rendezvous rendezvous() {
    return rendezvous;
  }

  @Override
  public boolean hasLocalApics() {
    return false;
  }

  @Override
  public void signalMsi(long address, int data) {
    apics.signalMsi(address, data);
  }

  @Override
  public void setExternalInterrupt(boolean asserted) {
    apics.setExternalInterrupt(asserted);
  }

  @Override
  public void close() {
    for (var processor : processors) {
      processor.cancel();
    }
    translator.close();
    configuration.memory().removeWriteObserver(writeObserver);
    configuration.memory().removeDirtySource(dirtySource);
  }

  /// Dirty pages are noted when a page gets a direct write entry; so each collection takes the
  /// entries
  /// away again.
  private final class DirtyWrites implements GuestMemory.DirtySource {
    @Override
    public void trackingChanged(boolean on) {
      collect();
    }

    @Override
    public void collect() {
      try (var ignored = rendezvous.exclusive()) {
        for (var processor : processors) {
          processor.cpu().mmu.flushWrites();
        }
      }
    }
  }
}
