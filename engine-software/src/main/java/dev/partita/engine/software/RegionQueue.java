package dev.partita.engine.software;

import java.util.LinkedHashMap;
import java.util.Map;

/// Shapes of regions that wait to be translated. The one that was asked for most often comes first:
/// when code gets hot faster than it is translated, the hottest waits least.
///
/// Thread-safe.
final class RegionQueue {
  /// Most that wait; more are refused (hot code asks again).
  private static final int ROOM = 512;

  private static final class Request {
    final RegionShape shape;
    int times = 1;

    Request(RegionShape shape) {
      this.shape = shape;
    }
  }

  /// By the entry, in the order of the first request.
  private final Map<Block, Request> waiting = new LinkedHashMap<>();

  /// Notes that the region of a block is asked for once more.
  ///
  /// @return false if none waits
  synchronized boolean again(Block entry) {
    var request = waiting.get(entry);
    if (request == null) {
      return false;
    }
    request.times++;
    return true;
  }

  /// Adds a shape.
  ///
  /// @return false if there is no room, or its entry has one already
  synchronized boolean offer(RegionShape shape) {
    if (waiting.size() == ROOM) {
      return false;
    }
    boolean added = waiting.putIfAbsent(shape.entry().block, new Request(shape)) == null;
    notifyAll();
    return added;
  }

  /// Waits for a shape and takes it out.
  synchronized RegionShape take() throws InterruptedException {
    while (true) {
      Request first = null;
      for (var request : waiting.values()) {
        if (first == null || request.times > first.times) {
          first = request;
        }
      }
      if (first != null) {
        waiting.remove(first.shape.entry().block);
        return first.shape;
      }
      wait();
    }
  }

  synchronized void clear() {
    waiting.clear();
  }
}
