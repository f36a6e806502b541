package dev.partita.engine.software;

import dev.partita.hypervisor.Doorbells;
import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.LocalApicBus;
import dev.partita.hypervisor.Partition;
import dev.partita.hypervisor.PartitionConfiguration;
import dev.partita.hypervisor.VirtualProcessor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// A partition on the software engine: what its processors share.
final class SoftwarePartition implements Partition {
  private final PartitionConfiguration configuration;
  private final CodeCache code;
  private final Translator translator = new Translator(this);
  private final Rendezvous rendezvous = new Rendezvous();
  private final List<SoftwareProcessor> processors;
  private final LocalApicBus apics;
  private final PortDoorbells doorbells = new PortDoorbells();
  private final GuestMemory.WriteObserver writeObserver;
  private final GuestMemory.DirtySource dirtySource = new DirtyWrites();

  private final PartitionCounter counter;

  SoftwarePartition(PartitionConfiguration configuration) {
    this.configuration = configuration;
    this.counter = new PartitionCounter(configuration.time(), configuration.tscFrequency());
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

  PartitionCounter counter() {
    return counter;
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
  public Optional<Doorbells> doorbells() {
    return Optional.of(doorbells);
  }

  /// What a port write rings, or null if it is no signal.
  @Nullable Runnable doorbell(int port, int size, int value) {
    return doorbells.find(port, size, value);
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

  /// A page is marked when it gets a direct write entry, and not any more as long as it has one. So
  /// the entries are taken away when the pages have been taken: a write before that is seen by
  /// whoever copies these pages, one after it marks its page again.
  private final class DirtyWrites implements GuestMemory.DirtySource {
    @Override
    public void trackingChanged(boolean on) {
      flush();
    }

    @Override
    public void collect() {
      // All are marked.
    }

    @Override
    public void taken() {
      flush();
    }

    private void flush() {
      try (var ignored = rendezvous.exclusive()) {
        for (var processor : processors) {
          processor.cpu().mmu.flushWrites();
        }
      }
    }
  }
}
