package dev.partita.network.vswitch;

import dev.partita.network.Endpoint;
import dev.partita.network.Frame;
import dev.partita.network.Offloads;
import java.util.ArrayList;
import java.util.List;

/// An endpoint that remembers what it gets.
final class Station implements Endpoint {
  final List<byte[]> frames = new ArrayList<>();
  final List<Integer> tags = new ArrayList<>();
  final List<Integer> segmentSizes = new ArrayList<>();
  Offloads offloads = Offloads.NONE;
  boolean full;
  int batches;
  int resumed;
  int linkChanges;

  @Override
  public Offloads offloads() {
    return offloads;
  }

  @Override
  public boolean deliver(Frame frame) {
    if (full) {
      return false;
    }
    frames.add(frame.octets());
    tags.add(frame.tag());
    segmentSizes.add(frame.segmentSize());
    return true;
  }

  @Override
  public void endBatch() {
    batches++;
  }

  @Override
  public void resume() {
    resumed++;
  }

  @Override
  public void linkChanged(boolean up) {
    linkChanges++;
  }
}
