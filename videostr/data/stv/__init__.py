"""The STV builder: annotations of KITTI tracking, ScanNet and TAO -> question-answer pairs. See docs/video-str.md."""
